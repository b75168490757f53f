//! What the words of an edge should be, from the golden trace.
//!
//! raw element = (scale * integer - offset of its channel) / gain, which must divide exactly and fit the lane; raw elements travel
//! in the edge's order and are packed with element 0 lowest, each word padded to whole bytes.

use super::verdict::{ElementPlace, Mismatch};
use golden_model::Trace;
use network::manifest::{Edge, EdgeContent, EdgeOrder, EdgeTensor, Word};
use network::requantization::per_channel;
use network::{Network, Shape};

/// How to compute and to read the words of one edge.
#[derive(Clone, Debug)]
pub(super) struct EdgeStream {
    word: Word,
    words_per_frame: u64,
    content: EdgeContent,
    source: Source,
    shape: Shape,
}

/// Where a trace holds the tensor of an edge.
#[derive(Clone, Copy, Debug)]
enum Source {
    Tensor(usize),
    Sums(usize),
    /// The mode of the frame alone.
    Mode,
}

impl EdgeStream {
    /// Fails with a sentence where edge and network do not fit together.
    pub(super) fn new(edge: &Edge, network: &Network) -> Result<EdgeStream, String> {
        let layer_index = |name: &str| {
            let found = network.layers().iter().position(|layer| layer.name == name);
            found.ok_or_else(|| format!("the network has no layer `{name}`"))
        };
        let (source, tensor) = match &edge.content.tensor {
            &EdgeTensor::Input(number) if number < network.inputs().len() => (Source::Tensor(number), number),
            EdgeTensor::Input(number) => return Err(format!("the network has no input {number}")),
            EdgeTensor::Output(name) => {
                let index = layer_index(name)?;
                let tensor = network.layer_tensor(index).0;
                (Source::Tensor(tensor), tensor)
            }
            EdgeTensor::Accumulator(name) => {
                let index = layer_index(name)?;
                (Source::Sums(index), network.layer_tensor(index).0)
            }
            EdgeTensor::Mode => (Source::Mode, 0),
        };
        let shape = match source {
            Source::Mode => Shape { rows: 1, columns: 1, channels: 1 },
            Source::Tensor(_) | Source::Sums(_) => {
                network.tensors().get(tensor).map(|tensor| tensor.shape).ok_or("the network has no such tensor")?
            }
        };
        let (word, content) = (edge.word, edge.content.clone());
        if !(1..=64).contains(&word.lane_bits) || word.lanes == 0 || edge.words_per_frame == 0 {
            return Err(format!("{} lanes of {} bits in {} words", word.lanes, word.lane_bits, edge.words_per_frame));
        }
        let counts = [content.offset.len(), content.scale.len()].into_iter();
        let counts: Vec<usize> = counts.chain(content.modes.iter().map(|mode| mode.offset.len())).collect();
        if content.gain == 0
            || content.modes.iter().any(|mode| mode.gain == 0)
            || counts.iter().any(|count| ![1, shape.channels as usize].contains(count))
        {
            return Err(format!(
                "gain {}, {} offsets and {} scales for {} channels",
                content.gain,
                content.offset.len(),
                content.scale.len(),
                shape.channels
            ));
        }
        let stream = EdgeStream { word, words_per_frame: edge.words_per_frame, content, source, shape };
        let elements = stream.elements().ok_or("its window does not fit its tensor")?;
        let carried = u64::from(word.lanes).checked_mul(edge.words_per_frame);
        if carried != Some(elements) {
            return Err(format!(
                "{} words of {} lanes are not the {elements} elements of a frame",
                edge.words_per_frame, word.lanes
            ));
        }
        Ok(stream)
    }

    pub(super) fn words_per_frame(&self) -> u64 {
        self.words_per_frame
    }

    /// Bytes of one word.
    pub(super) fn word_bytes(&self) -> usize {
        (self.word.lanes as usize * self.word.lane_bits as usize).div_ceil(8)
    }

    /// Elements of one frame; `None` where the order makes no sense for the shape.
    fn elements(&self) -> Option<u64> {
        match &self.content.order {
            EdgeOrder::Raster => Some(self.shape.elements()),
            EdgeOrder::Windows { positions, kernel, channel_groups, .. } => {
                let is_even = *channel_groups > 0 && self.shape.channels.is_multiple_of(*channel_groups);
                let factors = [positions[0], positions[1], kernel[0], kernel[1], self.shape.channels];
                let elements = factors.iter().try_fold(1u64, |product, &factor| product.checked_mul(factor))?;
                (is_even && elements > 0).then_some(elements)
            }
        }
    }

    /// Appends one frame of words to `bytes`; returns a sentence about the first integer that no word can say.
    pub(super) fn expect(&mut self, trace: &Trace, bytes: &mut Vec<u8>) -> Option<String> {
        if let Some(mode) = self.content.modes.get(trace.mode).cloned() {
            (self.content.gain, self.content.offset) = (mode.gain, mode.offset);
        }
        let mode = [trace.mode as i64];
        let integers = match self.source {
            Source::Mode => Some(&mode[..]),
            Source::Tensor(index) => trace.tensor(index),
            Source::Sums(index) => trace.layers.get(index).and_then(|layer| layer.sums.as_deref()),
        };
        let Some(integers) = integers.filter(|integers| integers.len() as u64 == self.shape.elements()) else {
            return Some("the golden model has no such integers".to_owned());
        };
        bytes.reserve(self.word_bytes().saturating_mul(self.words_per_frame as usize));
        let mut packer = Packer { bytes, word: self.word, pending: 0, pending_bits: 0, lane: 0 };
        let mut impossible = None;
        self.each_element(|at| match at {
            None => packer.push(self.padding_code()),
            Some(index) => {
                let integer = integers.get(index).copied().unwrap_or(0);
                let channel = index as u64 % self.shape.channels;
                let raw = self.content.raw(channel as usize, integer).filter(|&raw| self.fits(raw));
                let raw = raw.unwrap_or_else(|| {
                    impossible.get_or_insert_with(|| {
                        let EdgeContent { gain, scale, offset, .. } = &self.content;
                        let bits = self.word.lane_bits;
                        format!(
                            "{integer} of channel {channel} is nothing that {bits} bits say with gain {gain}, scale {scale:?}, offset {offset:?}"
                        )
                    });
                    0
                });
                packer.push(raw);
            }
        });
        impossible
    }

    /// Calls `each` with the tensor index of every element in the order of travel, `None` for a padded tap.
    fn each_element(&self, mut each: impl FnMut(Option<usize>)) {
        match &self.content.order {
            EdgeOrder::Raster => (0..self.shape.elements() as usize).for_each(|index| each(Some(index))),
            EdgeOrder::Windows { positions, kernel, stride, dilation, padding_before, channel_groups, .. } => {
                let Shape { rows, columns, channels } = self.shape;
                let group_channels = channels / channel_groups;
                let source = |axis: usize, position: u64, tap: u64, length: u64| {
                    let padded = position * stride[axis] + tap * dilation[axis];
                    padded.checked_sub(padding_before[axis]).filter(|&index| index < length)
                };
                for position in 0..positions[0] * positions[1] {
                    let (row, column) = (position / positions[1], position % positions[1]);
                    for group in 0..*channel_groups {
                        for tap in 0..kernel[0] * kernel[1] {
                            let row = source(0, row, tap / kernel[1], rows);
                            let column = source(1, column, tap % kernel[1], columns);
                            let start = row.zip(column).map(|(row, column)| (row * columns + column) * channels);
                            for channel in group * group_channels..(group + 1) * group_channels {
                                each(start.map(|start| (start + channel) as usize));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Where the element number `element` of a frame comes from.
    fn place(&self, element: u64) -> ElementPlace {
        let of_tensor = |index: u64| ElementPlace {
            position: None,
            tap: None,
            row: Some(index / self.shape.channels / self.shape.columns),
            column: Some(index / self.shape.channels % self.shape.columns),
            channel: index % self.shape.channels,
        };
        match &self.content.order {
            EdgeOrder::Raster => of_tensor(element),
            EdgeOrder::Windows { positions, kernel, stride, dilation, padding_before, channel_groups, .. } => {
                let group_channels = self.shape.channels / channel_groups;
                let (rest, channel_in_group) = (element / group_channels, element % group_channels);
                let (rest, tap) = (rest / (kernel[0] * kernel[1]), rest % (kernel[0] * kernel[1]));
                let (position, group) = (rest / channel_groups, rest % channel_groups);
                let position = [position / positions[1], position % positions[1]];
                let tap = [tap / kernel[1], tap % kernel[1]];
                let source = |axis: usize, length: u64| {
                    let padded = position[axis] * stride[axis] + tap[axis] * dilation[axis];
                    padded.checked_sub(padding_before[axis]).filter(|&index| index < length)
                };
                ElementPlace {
                    position: Some(position),
                    tap: Some(tap),
                    row: source(0, self.shape.rows),
                    column: source(1, self.shape.columns),
                    channel: group * group_channels + channel_in_group,
                }
            }
        }
    }

    /// Whether two words differ only above their last element.
    pub(super) fn equal_below_padding(&self, expected: &[u8], found: &[u8]) -> bool {
        let used_bits = (self.word.lanes as usize * self.word.lane_bits as usize) % 8;
        let (Some((last_expected, expected)), Some((last_found, found))) = (expected.split_last(), found.split_last())
        else {
            return false;
        };
        used_bits != 0 && expected == found && (last_expected ^ last_found) & ((1 << used_bits) - 1) == 0
    }

    /// All elements of word number `word` that differ; frame and cycle are left at 0.
    pub(super) fn differences(&self, word: u64, expected: &[u8], found: &[u8]) -> Vec<Mismatch> {
        let lanes = u64::from(self.word.lanes);
        let mut differences = Vec::new();
        for lane in 0..lanes {
            let (wanted, got) = (self.element(expected, lane), self.element(found, lane));
            if wanted == got {
                continue;
            }
            let element = word * lanes + lane;
            let place = self.place(element);
            let integer = |raw: i64| {
                let is_padding = place.row.is_none() || place.column.is_none();
                if is_padding {
                    return raw;
                }
                let scaled = raw.wrapping_mul(self.content.gain).wrapping_add(self.offset(place.channel));
                scaled.checked_div(self.scale(place.channel)).unwrap_or(scaled)
            };
            differences.push(Mismatch {
                frame: 0,
                cycle: 0,
                element,
                expected: integer(wanted),
                got: integer(got),
                expected_raw: wanted,
                got_raw: got,
                place,
            });
        }
        differences
    }

    /// The raw element in one lane of a word; missing bits count as 0.
    fn element(&self, word: &[u8], lane: u64) -> i64 {
        let bits = self.word.lane_bits;
        let start = lane as usize * bits as usize;
        let raw = (0..bits as usize).fold(0u64, |raw, bit| {
            let at = start + bit;
            let is_set = word.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            raw | u64::from(is_set) << bit
        });
        let unused = 64 - bits;
        if self.word.signed { ((raw << unused) as i64) >> unused } else { raw as i64 }
    }

    fn fits(&self, raw: i64) -> bool {
        let bits = self.word.lane_bits;
        match (self.word.signed, bits) {
            (true, 64) => true,
            (true, _) => raw >= -(1 << (bits - 1)) && raw < 1 << (bits - 1),
            (false, 63 | 64) => raw >= 0,
            (false, _) => raw >= 0 && raw < 1 << bits,
        }
    }

    fn offset(&self, channel: u64) -> i64 {
        per_channel(&self.content.offset, channel as usize).unwrap_or(0)
    }

    fn scale(&self, channel: u64) -> i64 {
        per_channel(&self.content.scale, channel as usize).unwrap_or(1)
    }

    fn padding_code(&self) -> i64 {
        match &self.content.order {
            EdgeOrder::Raster => 0,
            EdgeOrder::Windows { padding_code, .. } => *padding_code,
        }
    }
}

/// Packs raw elements into words.
struct Packer<'b> {
    bytes: &'b mut Vec<u8>,
    word: Word,
    pending: u128,
    pending_bits: u32,
    lane: u32,
}

impl Packer<'_> {
    fn push(&mut self, raw: i64) {
        let bits = self.word.lane_bits;
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        self.pending |= u128::from(raw as u64 & mask) << self.pending_bits;
        self.pending_bits += bits;
        self.lane += 1;
        let is_word_end = self.lane == self.word.lanes;
        while self.pending_bits >= 8 || (is_word_end && self.pending_bits > 0) {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.pending_bits = self.pending_bits.saturating_sub(8);
        }
        if is_word_end {
            self.lane = 0;
        }
    }
}
