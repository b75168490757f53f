//! A design as modules joined by streams: what the token-level simulator runs.

use super::Twin;

/// Names a module of a [`Graph`], in the order of addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub(super) usize);

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Source(usize),
    Module(usize),
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Sink(usize),
    Module(usize),
}

/// An end of the design: a source offers frames, a sink takes them.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// Number in the stall pattern.
    pub(super) number: u64,
    pub(super) words_per_frame: u64,
    pub(super) stream: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) from: From,
    pub(super) to: To,
}

#[derive(Clone, Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) twin: Twin,
    /// Stream at each port.
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
}

/// A directed acyclic graph of twins with at least one source and one sink;
/// every port is joined to exactly one stream.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(super) modules: Vec<Module>,
    pub(super) streams: Vec<Stream>,
    pub(super) sources: Vec<Endpoint>,
    pub(super) sinks: Vec<Endpoint>,
    /// Modules so that each stands before those it feeds.
    pub(super) order: Vec<usize>,
}

/// A graph that is not finished: ports are joined one by one, then checked by
/// [`GraphBuilder::build`].
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    modules: Vec<(String, Twin)>,
    joins: Vec<Join>,
}

#[derive(Clone, Debug)]
enum Join {
    Source { number: u64, words_per_frame: u64, to: (usize, usize) },
    Sink { number: u64, words_per_frame: u64, from: (usize, usize) },
    Inner { from: (usize, usize), to: (usize, usize) },
}

/// Why a graph cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphError {
    /// A port that does not exist.
    NoSuchPort {
        /// Name of the module.
        module: String,
        /// Number of the port.
        port: usize,
    },
    /// A port joined to no stream, or to more than one.
    PortJoined {
        /// Name of the module.
        module: String,
        /// Number of the port.
        port: usize,
        /// How many streams it is joined to.
        streams: usize,
    },
    /// Modules in a loop; one of them.
    Loop {
        /// Name of the module.
        module: String,
    },
    /// No source, no sink, or an endpoint with no words in a frame.
    EmptyEndpoint,
}

impl std::fmt::Display for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GraphError::NoSuchPort { module, port } => write!(f, "{module} has no port {port}"),
            GraphError::PortJoined { module, port, streams } => {
                write!(f, "port {port} of {module} is joined to {streams} streams")
            }
            GraphError::Loop { module } => write!(f, "{module} feeds itself through a loop"),
            GraphError::EmptyEndpoint => {
                write!(f, "a source or sink is missing, or has no words in a frame")
            }
        }
    }
}

impl std::error::Error for GraphError {}

impl Graph {
    /// A chain: source 0, the modules in order, sink 1, with the words of one
    /// frame at its two ends. Every twin has one input and one output.
    pub fn chain(
        modules: Vec<(String, Twin)>,
        input_words_per_frame: u64,
        output_words_per_frame: u64,
    ) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::default();
        let ids: Vec<ModuleId> = modules.into_iter().map(|(name, twin)| builder.module(name, twin)).collect();
        let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
            return Err(GraphError::EmptyEndpoint);
        };
        builder.source(0, input_words_per_frame, first, 0);
        for pair in ids.windows(2) {
            builder.join(pair[0], 0, pair[1], 0);
        }
        builder.sink(1, output_words_per_frame, last, 0);
        builder.build()
    }

    /// Puts another twin with as many ports in the place of a module, by its number in the order of addition.
    pub fn set_twin(&mut self, module: usize, twin: Twin) {
        if let Some(module) = self.modules.get_mut(module) {
            module.twin = twin;
        }
    }

    /// Names of the modules, in the order of addition.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }

    /// How many streams it has; numbers from 0.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn giver_name(&self, from: From) -> String {
        match from {
            From::Source(index) => format!("source {index}"),
            From::Module(index) => self.modules[index].name.clone(),
        }
    }

    pub(super) fn taker_name(&self, to: To) -> String {
        match to {
            To::Sink(index) => format!("sink {index}"),
            To::Module(index) => self.modules[index].name.clone(),
        }
    }
}

impl GraphBuilder {
    /// Adds a module.
    pub fn module(&mut self, name: impl Into<String>, twin: Twin) -> ModuleId {
        self.modules.push((name.into(), twin));
        ModuleId(self.modules.len() - 1)
    }

    /// Joins a source, `number` in the stall pattern, to an input port.
    pub fn source(&mut self, number: u64, words_per_frame: u64, to: ModuleId, port: usize) {
        self.joins.push(Join::Source { number, words_per_frame, to: (to.0, port) });
    }

    /// Joins an output port to a sink, `number` in the stall pattern.
    pub fn sink(&mut self, number: u64, words_per_frame: u64, from: ModuleId, port: usize) {
        self.joins.push(Join::Sink { number, words_per_frame, from: (from.0, port) });
    }

    /// Joins an output port to an input port.
    pub fn join(&mut self, from: ModuleId, from_port: usize, to: ModuleId, to_port: usize) {
        self.joins.push(Join::Inner { from: (from.0, from_port), to: (to.0, to_port) });
    }

    /// The checked graph.
    pub fn build(self) -> Result<Graph, GraphError> {
        let mut inputs: Vec<Vec<Vec<usize>>> =
            self.modules.iter().map(|(_, twin)| vec![Vec::new(); twin.inputs()]).collect();
        let mut outputs: Vec<Vec<Vec<usize>>> =
            self.modules.iter().map(|(_, twin)| vec![Vec::new(); twin.outputs()]).collect();
        let mut streams = Vec::new();
        let mut sources = Vec::new();
        let mut sinks = Vec::new();
        for join in &self.joins {
            let stream = streams.len();
            let (from, to) = match *join {
                Join::Source { number, words_per_frame, to } => {
                    sources.push(Endpoint { number, words_per_frame, stream });
                    self.port(&mut inputs, to)?.push(stream);
                    (From::Source(sources.len() - 1), To::Module(to.0))
                }
                Join::Sink { number, words_per_frame, from } => {
                    sinks.push(Endpoint { number, words_per_frame, stream });
                    self.port(&mut outputs, from)?.push(stream);
                    (From::Module(from.0), To::Sink(sinks.len() - 1))
                }
                Join::Inner { from, to } => {
                    self.port(&mut outputs, from)?.push(stream);
                    self.port(&mut inputs, to)?.push(stream);
                    (From::Module(from.0), To::Module(to.0))
                }
            };
            streams.push(Stream { from, to });
        }
        if sources.is_empty() || sinks.is_empty() || sources.iter().chain(&sinks).any(|end| end.words_per_frame == 0) {
            return Err(GraphError::EmptyEndpoint);
        }
        let mut modules = Vec::new();
        for (index, (name, twin)) in self.modules.into_iter().enumerate() {
            modules.push(Module {
                inputs: single(&name, &inputs[index])?,
                outputs: single(&name, &outputs[index])?,
                name,
                twin,
            });
        }
        let order = order(&modules, &streams)?;
        Ok(Graph { modules, streams, sources, sinks, order })
    }

    fn port<'a>(
        &self,
        ports: &'a mut [Vec<Vec<usize>>],
        (module, port): (usize, usize),
    ) -> Result<&'a mut Vec<usize>, GraphError> {
        ports.get_mut(module).and_then(|ports| ports.get_mut(port)).ok_or_else(|| GraphError::NoSuchPort {
            module: self.modules.get(module).map_or_else(|| format!("module {module}"), |(name, _)| name.clone()),
            port,
        })
    }
}

/// The one stream of each port.
fn single(name: &str, ports: &[Vec<usize>]) -> Result<Vec<usize>, GraphError> {
    ports
        .iter()
        .enumerate()
        .map(|(port, streams)| match streams.as_slice() {
            [stream] => Ok(*stream),
            _ => Err(GraphError::PortJoined { module: name.to_owned(), port, streams: streams.len() }),
        })
        .collect()
}

/// Modules ordered so that each stands before those it feeds.
fn order(modules: &[Module], streams: &[Stream]) -> Result<Vec<usize>, GraphError> {
    let inner = |stream: &&Stream| matches!(stream.from, From::Module(_));
    let mut waiting: Vec<usize> =
        modules.iter().map(|module| module.inputs.iter().map(|&s| &streams[s]).filter(inner).count()).collect();
    let mut order: Vec<usize> = (0..modules.len()).filter(|&m| waiting[m] == 0).collect();
    let mut next = 0;
    while let Some(&module) = order.get(next) {
        next += 1;
        for &stream in &modules[module].outputs {
            if let To::Module(taker) = streams[stream].to {
                waiting[taker] -= 1;
                if waiting[taker] == 0 {
                    order.push(taker);
                }
            }
        }
    }
    match (0..modules.len()).find(|&m| waiting[m] > 0) {
        Some(module) => Err(GraphError::Loop { module: modules[module].name.clone() }),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fifo, Fork};
    use super::*;

    fn fifo() -> Twin {
        Twin::Fifo(Fifo::new(2).unwrap())
    }

    #[test]
    fn open_doubled_and_missing_ports_are_refused() {
        let mut builder = GraphBuilder::default();
        let fork = builder.module("fork", Twin::Fork(Fork::new(2).unwrap()));
        builder.source(0, 1, fork, 0);
        builder.sink(1, 1, fork, 0);
        let open = GraphError::PortJoined { module: "fork".to_owned(), port: 1, streams: 0 };
        assert_eq!(builder.clone().build().unwrap_err(), open);
        builder.sink(2, 1, fork, 0);
        let doubled = GraphError::PortJoined { module: "fork".to_owned(), port: 0, streams: 2 };
        assert_eq!(builder.clone().build().unwrap_err(), doubled);
        builder.sink(2, 1, fork, 7);
        let missing = GraphError::NoSuchPort { module: "fork".to_owned(), port: 7 };
        assert_eq!(builder.build().unwrap_err(), missing);
    }

    #[test]
    fn loops_and_empty_ends_are_refused() {
        let mut builder = GraphBuilder::default();
        let (a, b) = (builder.module("a", fifo()), builder.module("b", fifo()));
        let c = builder.module("c", fifo());
        builder.join(a, 0, b, 0);
        builder.join(b, 0, a, 0);
        builder.source(0, 1, c, 0);
        builder.sink(1, 1, c, 0);
        assert!(matches!(builder.build(), Err(GraphError::Loop { .. })));
        assert!(Graph::chain(Vec::new(), 1, 1).is_err());
        assert!(Graph::chain(vec![("a".to_owned(), fifo())], 0, 1).is_err());
    }

    #[test]
    fn each_module_stands_before_those_it_feeds() {
        let mut builder = GraphBuilder::default();
        let (b, a) = (builder.module("b", fifo()), builder.module("a", fifo()));
        builder.join(a, 0, b, 0);
        builder.source(0, 1, a, 0);
        builder.sink(1, 1, b, 0);
        assert_eq!(builder.build().unwrap().order, [1, 0]);
    }
}
