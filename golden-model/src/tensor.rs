//! Where the tensors of a frame lie: buffers that later tensors take over once the last reader is done.

use network::{Network, Range};

/// The integers of a tensor, in the narrower of two types that holds its range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// Codes, and sums that fit.
    Narrow(&'a [i32]),
    /// Sums beyond 32 bits.
    Wide(&'a [i64]),
}

/// A tensor that is being made; every element is written.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// Codes, and sums that fit.
    Narrow(&'a mut [i32]),
    /// Sums beyond 32 bits.
    Wide(&'a mut [i64]),
}

/// Memory for one tensor at a time.
#[derive(Clone, Debug)]
pub(crate) enum Buffer {
    /// For narrow tensors.
    Narrow(Vec<i32>),
    /// For wide tensors.
    Wide(Vec<i64>),
}

/// The buffer of each tensor.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    tensors: Vec<Place>,
    buffers: Vec<Kind>,
}

/// A tensor's buffer and the elements it takes there.
#[derive(Clone, Copy, Debug)]
struct Place {
    buffer: usize,
    elements: usize,
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    is_narrow: bool,
    elements: usize,
}

/// Whether sums of a range can be kept (and turned round) in 32 bits.
pub(crate) fn fits_32_bits(range: Range) -> bool {
    range.min() > i64::from(i32::MIN) && range.max() <= i64::from(i32::MAX)
}

impl Places {
    /// Gives each tensor a buffer that no tensor holds which is still read or leaves the network.
    pub(crate) fn new(network: &Network) -> Self {
        let (tensors, inputs) = (network.tensors(), network.inputs().len());
        // The last layer that reads each tensor; one that nobody reads is free behind the layer that makes it.
        let mut last: Vec<usize> = (0..tensors.len()).map(|tensor| tensor.saturating_sub(inputs)).collect();
        for (index, layer) in network.layers().iter().enumerate() {
            layer.inputs.iter().for_each(|input| last[input.0] = index);
        }
        network.outputs().iter().for_each(|output| last[output.tensor.0] = usize::MAX);
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); network.layers().len()];
        for (tensor, &end) in last.iter().enumerate() {
            if let Some(ends) = ends.get_mut(end) {
                ends.push(tensor);
            }
        }
        let mut places = Places { tensors: Vec::with_capacity(tensors.len()), buffers: Vec::new() };
        let mut free: Vec<usize> = Vec::new();
        for (index, tensor) in tensors.iter().enumerate() {
            let elements = tensor.shape.elements() as usize;
            let is_narrow = fits_32_bits(tensor.encoding.integers());
            places.place(is_narrow, elements, &mut free);
            let made_by = index.checked_sub(inputs).and_then(|layer| ends.get(layer));
            free.extend(made_by.into_iter().flatten().map(|&tensor| places.tensors[tensor].buffer));
        }
        places
    }

    /// Takes the smallest free buffer that is large enough, else the largest, which grows, else a new one.
    fn place(&mut self, is_narrow: bool, elements: usize, free: &mut Vec<usize>) {
        let fitting = free.iter().enumerate().filter(|&(_, &buffer)| self.buffers[buffer].is_narrow == is_narrow);
        let best = fitting.min_by_key(|&(_, &buffer)| {
            let size = self.buffers[buffer].elements;
            if size >= elements { (0, size) } else { (1, usize::MAX - size) }
        });
        let buffer = match best.map(|(index, _)| index) {
            Some(index) => free.swap_remove(index),
            None => {
                self.buffers.push(Kind { is_narrow, elements: 0 });
                self.buffers.len() - 1
            }
        };
        self.buffers[buffer].elements = self.buffers[buffer].elements.max(elements);
        self.tensors.push(Place { buffer, elements });
    }

    /// Memory for all tensors of one frame.
    pub(crate) fn buffers(&self) -> Vec<Buffer> {
        let buffer = |kind: &Kind| match kind.is_narrow {
            true => Buffer::Narrow(vec![0; kind.elements]),
            false => Buffer::Wide(vec![0; kind.elements]),
        };
        self.buffers.iter().map(buffer).collect()
    }

    /// The integers of a tensor.
    pub(crate) fn source<'b>(&self, buffers: &'b [Buffer], tensor: usize) -> Source<'b> {
        let Place { buffer, elements } = self.tensors[tensor];
        match &buffers[buffer] {
            Buffer::Narrow(integers) => Source::Narrow(&integers[..elements]),
            Buffer::Wide(integers) => Source::Wide(&integers[..elements]),
        }
    }

    /// Takes the buffer of a tensor out of all, so that it can be written while others are read.
    pub(crate) fn take(&self, buffers: &mut [Buffer], tensor: usize) -> Buffer {
        std::mem::replace(&mut buffers[self.tensors[tensor].buffer], Buffer::Narrow(Vec::new()))
    }

    /// Puts it back.
    pub(crate) fn put(&self, buffers: &mut [Buffer], tensor: usize, buffer: Buffer) {
        buffers[self.tensors[tensor].buffer] = buffer;
    }

    /// The part of its buffer that a tensor takes.
    pub(crate) fn target<'b>(&self, buffer: &'b mut Buffer, tensor: usize) -> Target<'b> {
        let elements = self.tensors[tensor].elements;
        match buffer {
            Buffer::Narrow(integers) => Target::Narrow(&mut integers[..elements]),
            Buffer::Wide(integers) => Target::Wide(&mut integers[..elements]),
        }
    }
}

impl Source<'_> {
    /// Appends all integers in 64 bits.
    pub(crate) fn append_to(self, all: &mut Vec<i64>) {
        match self {
            Source::Narrow(integers) => all.extend(integers.iter().copied().map(i64::from)),
            Source::Wide(integers) => all.extend_from_slice(integers),
        }
    }

    /// Elements.
    pub(crate) fn len(self) -> usize {
        match self {
            Source::Narrow(integers) => integers.len(),
            Source::Wide(integers) => integers.len(),
        }
    }
}

impl Target<'_> {
    /// Puts one integer in place; it lies in the tensor's range.
    pub(crate) fn set(&mut self, element: usize, integer: i64) {
        match self {
            Target::Narrow(integers) => integers[element] = integer as i32,
            Target::Wide(integers) => integers[element] = integer,
        }
    }

    /// All integers in 64 bits.
    pub(crate) fn to_vec(&self) -> Vec<i64> {
        match self {
            Target::Narrow(integers) => integers.iter().copied().map(i64::from).collect(),
            Target::Wide(integers) => integers.to_vec(),
        }
    }

    /// Elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Target::Narrow(integers) => integers.len(),
            Target::Wide(integers) => integers.len(),
        }
    }

    /// The same tensor for a shorter while.
    pub(crate) fn reborrow(&mut self) -> Target<'_> {
        match self {
            Target::Narrow(integers) => Target::Narrow(integers),
            Target::Wide(integers) => Target::Wide(integers),
        }
    }
}
