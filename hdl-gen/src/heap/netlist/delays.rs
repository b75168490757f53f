//! Registers of a [`Netlist`] that only delay bits, and how many of them stand in a row.

use super::{Netlist, Signal, SignalId};
use crate::heap::cost::{Delay, Source};
use crate::heap::{Bit, Net};
use crate::verilog::Expr;

impl Netlist {
    /// Notes that a port is an input, and what stands in front of it.
    pub fn note_input(&mut self, port: SignalId, source: Source) {
        if let Some(signal) = self.signals.get_mut(port.0) {
            signal.source = source;
        }
    }

    /// Notes that a register only delays another net. From the third in a row on they become one shift register.
    pub fn note_delay(&mut self, from: Net, to: Net) {
        let before = match from {
            Net::Signal(signal, index) => match self.signals.get(signal.0) {
                Some(&Signal { first, source, .. }) => {
                    let noted = self.delays.get(first + index as usize).copied().unwrap_or_default();
                    if noted.registers > 0 { noted } else { Delay { registers: 0, source } }
                }
                None => Delay::default(),
            },
            Net::One => Delay::default(),
        };
        let delay = Delay { registers: before.registers + 1, ..before };
        if let Net::Signal(signal, index) = to
            && let Some(place) = self.signals.get(signal.0).map(|signal| signal.first + index as usize)
            && let Some(noted) = self.delays.get_mut(place)
        {
            *noted = delay;
        }
        self.cost.count_delay(delay);
    }

    /// Registers bits at the end of a stage and gives each one's registered form, in the order given. Signals that are
    /// registered whole keep their name; the other bits share one vector.
    pub fn advance(&mut self, time: u32, bits: &[Bit]) -> Vec<Bit> {
        let mut used: Vec<(SignalId, u32, usize)> = (0..)
            .zip(bits)
            .filter_map(|(place, bit)| match bit.net {
                Net::Signal(signal, index) => Some((signal, index, place)),
                Net::One => None,
            })
            .collect();
        used.sort_unstable();
        let mut moved: Vec<Bit> = bits.iter().map(|bit| Bit { inputs: 1, ..*bit }).collect();
        let mut rest = Vec::new();
        for places in used.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(signal, ..)) = places.first() else { continue };
            let indices = || places.chunk_by(|a, b| a.1 == b.1);
            if indices().count() == self.bits(signal) as usize {
                let name = self.registered_name(time, signal);
                let bits = self.bits(signal);
                let value = self.whole(signal);
                let register = self.register(time, &name, bits, value);
                places.iter().for_each(|&(_, index, place)| moved[place].net = Net::Signal(register, index));
                (0..bits).for_each(|index| self.note_delay(Net::Signal(signal, index), Net::Signal(register, index)));
            } else {
                rest.extend(indices());
            }
        }
        if !rest.is_empty() {
            let nets: Vec<Net> = rest.iter().map(|places| Net::Signal(places[0].0, places[0].1)).collect();
            let (name, value) = match self.counting {
                true => (String::new(), Expr::zero(1)),
                false => {
                    let value: Vec<_> = nets.iter().rev().map(|net| Some(Bit { net: *net, inputs: 1 })).collect();
                    (self.unused_name(&format!("s{}_kept", time + 1)), self.vector(&value))
                }
            };
            let register = self.register(time, &name, u32::try_from(rest.len()).unwrap_or(0), value);
            for (to, (net, places)) in (0..).zip(nets.into_iter().zip(rest)) {
                places.iter().for_each(|&(_, _, place)| moved[place].net = Net::Signal(register, to));
                self.note_delay(net, Net::Signal(register, to));
            }
        }
        moved
    }

    fn registered_name(&mut self, time: u32, signal: SignalId) -> String {
        if self.counting {
            return String::new();
        }
        let name = self.signals.get(signal.0).map_or("", |signal| signal.name.as_str());
        let bare = name.trim_end_matches("_q").trim_end_matches("_i");
        let bare = match bare.split_once('_') {
            Some((stage, rest)) if stage.strip_prefix('s').is_some_and(|n| n.parse::<u32>().is_ok()) => rest,
            _ => bare,
        };
        let stem = format!("s{}_{bare}", time + 1);
        self.unused_name(&stem)
    }

    /// `STEM_q`, or with a number where that is taken.
    fn unused_name(&mut self, stem: &str) -> String {
        if self.counting {
            return String::new();
        }
        let mut name = format!("{stem}_q");
        let mut number = 2;
        while self.names.insert(name.clone(), 0).is_some() {
            name = format!("{stem}_{number}_q");
            number += 1;
        }
        name
    }
}
