//! ONNX files written byte by byte: small float models without any library that knows ONNX.

/// A protobuf message that grows.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }
}

/// A float model with input `x` and output `y`.
pub struct Net {
    graph: Message,
}

/// An attribute.
pub enum Value<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
    Text(&'a str),
}

impl Net {
    /// A model over frames of this shape, batch included.
    pub fn new(shape: &[i64]) -> Net {
        let dims = shape.iter().fold(Message::default(), |dims, &dim| dims.bytes(1, &Message::default().int(1, dim).0));
        let tensor = Message::default().int(1, 1).bytes(2, &dims.0);
        let info = Message::default().text(1, "x").bytes(2, &Message::default().bytes(1, &tensor.0).0);
        let output = Message::default().text(1, "y");
        Net { graph: Message::default().bytes(11, &info.0).bytes(12, &output.0) }
    }

    /// A constant of floats.
    pub fn floats(mut self, name: &str, dims: &[i64], values: &[f32]) -> Net {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = dims.iter().fold(Message::default(), |tensor, &dim| tensor.int(1, dim));
        self.graph = self.graph.bytes(5, &tensor.int(2, 1).text(8, name).bytes(9, &raw).0);
        self
    }

    /// A stored tensor of integers.
    pub fn ints(mut self, name: &str, dims: &[i64], values: &[i64]) -> Net {
        let tensor = dims.iter().fold(Message::default(), |tensor, &dim| tensor.int(1, dim));
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph = self.graph.bytes(5, &tensor.int(2, 7).text(8, name).bytes(9, &raw).0);
        self
    }

    /// A node named like its output.
    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Value<'_>)]) -> Net {
        let mut node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        node = node.text(2, output).text(3, output).text(4, op);
        for (name, value) in attributes {
            let attribute = Message::default().text(1, name);
            let attribute = match value {
                Value::Int(value) => attribute.int(3, *value).int(20, 2),
                Value::Ints(values) => values.iter().fold(attribute, |made, &value| made.int(8, value)).int(20, 7),
                Value::Float(value) => {
                    let mut attribute = attribute;
                    attribute.varint(2 << 3 | 5);
                    attribute.0.extend(value.to_le_bytes());
                    attribute.int(20, 1)
                }
                Value::Text(text) => attribute.text(4, text).int(20, 3),
            };
            node = node.bytes(5, &attribute.0);
        }
        self.graph = self.graph.bytes(1, &node.0);
        self
    }

    /// The file.
    pub fn bytes(self) -> Vec<u8> {
        Message::default().int(1, 8).bytes(7, &self.graph.0).0
    }
}
