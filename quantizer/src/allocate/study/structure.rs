//! Where layers stand: stages between changes of resolution, and the two sides of a U.
//!
//! A level is a resolution of the layers' results, 0 the finest. In an encoder-decoder network resolutions fall to a
//! bottleneck and rise again, and tensors skip from one side to the other; its encoder is what stands before the
//! bottleneck, its decoder what stands behind. Found from shapes alone, so that it holds for any such graph.

use crate::post_training::Trial;

/// Most stages of a network of one resolution.
const MAX_STAGES: usize = 8;

/// Which part of an encoder-decoder network a layer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Before the bottleneck, at this level.
    Encoder(usize),
    /// At the lowest resolution.
    Bottleneck,
    /// Behind the bottleneck, at this level.
    Decoder(usize),
}

/// Stages and roles of the layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    /// For each layer the number of its stage, rising with depth.
    pub stages: Vec<usize>,
    /// Roles, where the network falls to a bottleneck and rises again with skips around it.
    pub roles: Option<Vec<Role>>,
    /// Levels above the bottleneck.
    pub levels: usize,
}

impl Structure {
    /// Finds them.
    pub(crate) fn find(trial: &Trial<'_>) -> Structure {
        let positions: Vec<usize> =
            trial.layers.iter().map(|layer| layer.shape.iter().skip(2).product::<usize>()).collect();
        let model = trial.program.model;
        let joins = model.nodes.iter().any(|node| {
            let data = node.inputs.iter().flatten().filter(|id| trial.program.shapes.contains_key(id)).count();
            matches!(node.op.as_str(), "Concat" | "Add" | "Sum") && data > 1
        });
        Structure::of(&positions, joins)
    }

    /// From the positions of each layer's results, in order.
    fn of(positions: &[usize], has_joins: bool) -> Structure {
        let mut stages = Vec::new();
        let mut stage = 0;
        for (index, &own) in positions.iter().enumerate() {
            stage += usize::from(index > 0 && own != positions[index - 1]);
            stages.push(stage);
        }
        if stage == 0 {
            // One resolution throughout, as in dense networks: stages of about as many layers each.
            let count = positions.len();
            stages = (0..count).map(|index| index * count.min(MAX_STAGES) / count).collect();
        }
        let mut levels: Vec<usize> = positions.to_vec();
        levels.sort_unstable_by(|a, b| b.cmp(a));
        levels.dedup();
        let level = |own: usize| levels.iter().position(|&other| other == own).unwrap_or(0);
        let lowest = positions.iter().min().copied().unwrap_or(0);
        let first = positions.iter().position(|&own| own == lowest).unwrap_or(0);
        let last = positions.iter().rposition(|&own| own == lowest).unwrap_or(0);
        let falls = positions[..first].windows(2).all(|pair| pair[0] >= pair[1]);
        let rises = positions[last.min(positions.len())..].windows(2).all(|pair| pair[0] <= pair[1]);
        let stays = positions[first..].iter().take(last + 1 - first).all(|&own| own == lowest);
        let is_u = has_joins && first > 0 && last + 1 < positions.len() && falls && stays && rises;
        let role = |(index, &own): (usize, &usize)| match index {
            index if index < first => Role::Encoder(level(own)),
            index if index <= last => Role::Bottleneck,
            _ => Role::Decoder(level(own)),
        };
        let roles = is_u.then(|| positions.iter().enumerate().map(role).collect());
        Structure { stages, roles, levels: levels.len().saturating_sub(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::*;

    #[test]
    fn a_u_is_found_from_resolutions() {
        let found = Structure::of(&[64, 64, 16, 16, 4, 4, 16, 64, 64], true);
        assert_eq!(found.stages, [0, 0, 1, 1, 2, 2, 3, 4, 4]);
        let roles = vec![
            Encoder(0),
            Encoder(0),
            Encoder(1),
            Encoder(1),
            Bottleneck,
            Bottleneck,
            Decoder(1),
            Decoder(0),
            Decoder(0),
        ];
        assert_eq!((found.roles, found.levels), (Some(roles), 2));
    }

    #[test]
    fn a_classifier_is_no_u() {
        assert_eq!(Structure::of(&[64, 16, 4, 1, 1], true).roles, None);
        // It falls and rises, but nothing skips.
        assert_eq!(Structure::of(&[64, 16, 64], false).roles, None);
        assert_eq!(Structure::of(&[64, 16, 64, 16, 64], true).roles, None);
        assert_eq!(Structure::of(&[64], true).stages, [0]);
        assert_eq!(Structure::of(&[1, 1, 1], false).stages, [0, 1, 2]);
        assert_eq!(Structure::of(&[1; 16], false).stages[13..], [6, 7, 7]);
    }
}
