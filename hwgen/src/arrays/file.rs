//! Files of arrays and the stream of one array's frames.

use super::ArraySpec;
use super::npy::{self, Element, Elements, Header};
use network::{Code, Diagnostic, Place};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

type Checked<T> = Result<T, Diagnostic>;

/// An open `.npz` or `.npy` file.
pub struct ArrayFile {
    name: String,
    content: Content,
}

enum Content {
    Archive { archive: Box<ZipArchive<BufReader<File>>>, arrays: Vec<String> },
    Single(BufReader<File>),
}

impl ArrayFile {
    /// Opens a file; which of the two formats it is shows in its first bytes.
    pub fn open(path: &Path) -> Checked<ArrayFile> {
        let name = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            Diagnostic::new(
                Code::InputRead,
                Place::file(&name),
                format!("cannot be read: {error}"),
                "give the path of a .npz or .npy file",
            )
        };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(std::io::Error::other("is a directory")));
        }
        let mut reader = BufReader::new(file);
        let mut magic = Vec::new();
        reader.by_ref().take(6).read_to_end(&mut magic).map_err(unreadable)?;
        reader.rewind().map_err(unreadable)?;
        if magic == b"\x93NUMPY" {
            return Ok(ArrayFile { name, content: Content::Single(reader) });
        }
        let archive = ZipArchive::new(reader).map_err(|error| {
            Diagnostic::new(
                Code::FramesFile,
                Place::file(&name),
                format!("neither a .npz nor a .npy file: {error}"),
                "write it with numpy.savez, numpy.savez_compressed or numpy.save",
            )
        })?;
        let names = archive.file_names().flatten();
        let mut arrays: Vec<String> = names.filter_map(|entry| entry.strip_suffix(".npy").map(str::to_owned)).collect();
        arrays.sort();
        Ok(ArrayFile { name, content: Content::Archive { archive: Box::new(archive), arrays } })
    }

    /// The array that `spec` means: the named one, else the one called `default`, else the only one.
    pub fn open_array(&mut self, spec: &ArraySpec, default: Option<&str>) -> Checked<ArrayStream<'_>> {
        let file = self.name.clone();
        let (archive, arrays) = match &mut self.content {
            Content::Single(reader) => {
                if let Some(array) = &spec.array {
                    return Err(Diagnostic::new(
                        Code::FramesFile,
                        Place::file(&file),
                        format!("a .npy file holds one array without a name, not `{array}`"),
                        format!("write `{file}` alone"),
                    ));
                }
                let _ = reader.rewind();
                return ArrayStream::start(file, Box::new(reader), None);
            }
            Content::Archive { archive, arrays } => (archive, arrays),
        };
        let listed = if arrays.is_empty() { "none".to_owned() } else { arrays.join(", ") };
        let chosen = match (&spec.array, default) {
            (Some(array), _) => arrays.iter().find(|name| *name == array),
            (None, Some(default)) if arrays.iter().any(|name| name == default) => {
                arrays.iter().find(|name| *name == default)
            }
            (None, _) => arrays.first().filter(|_| arrays.len() == 1),
        };
        let Some(chosen) = chosen.cloned() else {
            let message = match (&spec.array, default) {
                (Some(array), _) => format!("has no array `{array}`; its arrays: {listed}"),
                (None, Some(default)) => {
                    format!("has no array `{default}` and not exactly one array; its arrays: {listed}")
                }
                (None, None) => format!("has not exactly one array; its arrays: {listed}"),
            };
            return Err(Diagnostic::new(
                Code::FramesFile,
                Place::file(&file),
                message,
                format!("name one: {file}:{}", arrays.first().map_or("ARRAY", String::as_str)),
            ));
        };
        let label = format!("{file}:{chosen}");
        let entry = archive.by_name(&format!("{chosen}.npy")).map_err(|error| unusable(&label, &error.to_string()))?;
        let bytes = entry.size();
        ArrayStream::start(label, Box::new(BufReader::with_capacity(1 << 16, entry)), Some(bytes))
    }
}

/// One array on its way from a file, frame by frame along its first axis.
pub struct ArrayStream<'a> {
    label: String,
    reader: Box<dyn Read + Send + 'a>,
    header: Header,
    frames_read: u64,
    buffer: Vec<u8>,
}

impl<'a> ArrayStream<'a> {
    /// `entry_bytes` is what the container says of the array's whole length.
    fn start(label: String, mut reader: Box<dyn Read + Send + 'a>, entry_bytes: Option<u64>) -> Checked<Self> {
        let mut counted = Counted { reader: &mut reader, bytes: 0 };
        let header = npy::read_header(&mut counted).map_err(|message| unusable(&label, &message))?;
        let header_bytes = counted.bytes;
        let claimed = header
            .shape
            .iter()
            .try_fold(header.element.bytes as u64, |bytes, &axis| bytes.checked_mul(axis))
            .and_then(|bytes| bytes.checked_add(header_bytes));
        let consistent = match (claimed, entry_bytes) {
            (Some(claimed), Some(held)) => claimed == held,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !consistent {
            let held = entry_bytes.unwrap_or(0).saturating_sub(header_bytes);
            return Err(unusable(
                &label,
                &format!("its shape {} does not fit the {held} bytes it holds", shape_text(&header.shape)),
            ));
        }
        Ok(ArrayStream { label, reader, header, frames_read: 0, buffer: Vec::new() })
    }

    /// `FILE:ARRAY`, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// All axes; the first counts frames.
    pub fn shape(&self) -> &[u64] {
        &self.header.shape
    }

    /// All axes as Python writes them.
    pub fn shape_text(&self) -> String {
        shape_text(&self.header.shape)
    }

    /// Type of the elements.
    pub fn element(&self) -> Element {
        self.header.element
    }

    /// Length of the first axis; 0 for an array without axes.
    pub fn frames(&self) -> u64 {
        self.header.shape.first().copied().unwrap_or(0)
    }

    /// Elements behind one index of the first axis; saturates.
    pub fn frame_elements(&self) -> u64 {
        self.header.shape.iter().skip(1).fold(1, |count, &axis| count.saturating_mul(axis))
    }

    /// The next frame, or `None` behind the last. Call only after the caller found [`Self::frame_elements`] acceptable.
    pub fn next_frame(&mut self) -> Checked<Option<Elements>> {
        if self.frames_read >= self.frames() {
            return Ok(None);
        }
        let bytes = self.frame_elements().saturating_mul(self.header.element.bytes as u64);
        self.buffer.clear();
        let read = self.reader.by_ref().take(bytes).read_to_end(&mut self.buffer);
        match read {
            Ok(read) if read as u64 == bytes => {}
            Ok(_) => return Err(unusable(&self.label, &format!("the file ends inside frame {}", self.frames_read))),
            Err(error) => {
                return Err(unusable(&self.label, &format!("frame {} is damaged: {error}", self.frames_read)));
            }
        }
        self.frames_read += 1;
        if self.frames_read == self.frames() {
            // Reading to the end makes the container check its checksum.
            let mut rest = [0u8; 1];
            if let Err(error) = self.reader.read(&mut rest) {
                return Err(unusable(&self.label, &format!("the file is damaged: {error}")));
            }
        }
        Ok(Some(self.header.element.decode(&self.buffer)))
    }
}

fn unusable(label: &str, message: &str) -> Diagnostic {
    Diagnostic::new(
        Code::FramesFile,
        Place::file(label),
        message,
        "write the file again with numpy.savez or numpy.savez_compressed",
    )
}

/// A shape as Python writes it.
fn shape_text(shape: &[u64]) -> String {
    match shape {
        [single] => format!("({single},)"),
        axes => format!("({})", axes.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

struct Counted<'r, R> {
    reader: &'r mut R,
    bytes: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
