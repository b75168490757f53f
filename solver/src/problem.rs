//! What is to be solved.

/// One option of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What choosing it costs; any finite number.
    pub cost: f64,
    /// How much of each resource it takes; finite and at least 0.
    pub usage: Vec<f64>,
}

/// What two options of two groups cost together, beside their own costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The first group.
    pub first: usize,
    /// The second group.
    pub second: usize,
    /// Cost of option i of the first with option j of the second at `i * options of the second + j`.
    pub cost: Vec<f64>,
}

/// Why a problem is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemError {
    /// A group without options.
    #[error("group {0} has no options")]
    NoOptions(usize),
    /// An option states another number of usages than there are resources.
    #[error("an option of group {group} uses {found} resources, not {expected}")]
    Usage {
        /// The group.
        group: usize,
        /// Usages given.
        found: usize,
        /// Resources of the problem.
        expected: usize,
    },
    /// A number that is not finite, or a negative usage, limit or capacity.
    #[error("a number of {0} is not finite, or is negative where it must not be")]
    Number(String),
    /// A resource or a group that does not exist, or a pair of a group with itself.
    #[error("{0} does not exist or does not fit")]
    Reference(String),
}

/// Groups of options under limits. Minimises the sum of the chosen options' costs and of the pairs' costs.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    resources: usize,
    groups: Vec<Vec<Choice>>,
    limits: Vec<Option<f64>>,
    pairs: Vec<Pair>,
    capacities: Option<Vec<Option<f64>>>,
}

impl Problem {
    /// A problem without groups, over so many resources, none of them limited.
    pub fn new(resources: usize) -> Self {
        Problem { resources, limits: vec![None; resources], ..Problem::default() }
    }

    /// Adds a group of options, of which exactly one is chosen; returns its index.
    pub fn group(&mut self, options: Vec<Choice>) -> Result<usize, ProblemError> {
        let group = self.groups.len();
        if options.is_empty() {
            return Err(ProblemError::NoOptions(group));
        }
        for option in &options {
            if option.usage.len() != self.resources {
                return Err(ProblemError::Usage { group, found: option.usage.len(), expected: self.resources });
            }
            if !option.cost.is_finite() || option.usage.iter().any(|u| !u.is_finite() || *u < 0.0) {
                return Err(ProblemError::Number(format!("group {group}")));
            }
        }
        self.groups.push(options);
        Ok(group)
    }

    /// Limits the sum of a resource; the tighter of two limits counts.
    pub fn limit(&mut self, resource: usize, most: f64) -> Result<(), ProblemError> {
        if !most.is_finite() || most < 0.0 {
            return Err(ProblemError::Number(format!("the limit of resource {resource}")));
        }
        let limit =
            self.limits.get_mut(resource).ok_or_else(|| ProblemError::Reference(format!("resource {resource}")))?;
        *limit = Some(limit.map_or(most, |old| old.min(most)));
        Ok(())
    }

    /// Adds costs of the pairs of options of two groups; several pairs of the same groups add up.
    pub fn pair(&mut self, pair: Pair) -> Result<(), ProblemError> {
        let name = || format!("the pair of groups {} and {}", pair.first, pair.second);
        let (Some(first), Some(second)) = (self.groups.get(pair.first), self.groups.get(pair.second)) else {
            return Err(ProblemError::Reference(name()));
        };
        if pair.first == pair.second || pair.cost.len() != first.len() * second.len() {
            return Err(ProblemError::Reference(name()));
        }
        if pair.cost.iter().any(|cost| !cost.is_finite()) {
            return Err(ProblemError::Number(name()));
        }
        self.pairs.push(pair);
        Ok(())
    }

    /// First makes the largest of usage / capacity over the resources that have a capacity as small as it can be, then,
    /// with that as limit, the cost. A capacity of 0 forbids the resource.
    pub fn peak(&mut self, capacities: Vec<Option<f64>>) -> Result<(), ProblemError> {
        if capacities.len() != self.resources {
            return Err(ProblemError::Reference("the list of capacities".to_owned()));
        }
        if capacities.iter().flatten().any(|capacity| !capacity.is_finite() || *capacity < 0.0) {
            return Err(ProblemError::Number("the capacities".to_owned()));
        }
        self.capacities = Some(capacities);
        Ok(())
    }

    pub(crate) fn replace_capacities(&mut self, capacities: Vec<Option<f64>>) {
        self.capacities = Some(capacities);
    }

    /// Number of resources.
    pub fn resources(&self) -> usize {
        self.resources
    }

    /// The groups in the order they were added.
    pub fn groups(&self) -> &[Vec<Choice>] {
        &self.groups
    }

    /// The limit of each resource.
    pub fn limits(&self) -> &[Option<f64>] {
        &self.limits
    }

    /// The pairs.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The capacities that the peak is counted in.
    pub fn capacities(&self) -> Option<&[Option<f64>]> {
        self.capacities.as_deref()
    }

    /// Cost of a choice (one option of each group), pairs included.
    pub fn cost(&self, choice: &[usize]) -> f64 {
        let own: f64 = self.groups.iter().zip(choice).map(|(group, &option)| group[option].cost).sum();
        let of_pair = |pair: &Pair| {
            let (i, j) = (choice[pair.first], choice[pair.second]);
            pair.cost[i * self.groups[pair.second].len() + j]
        };
        own + self.pairs.iter().map(of_pair).sum::<f64>()
    }

    /// What a choice takes of each resource.
    pub fn usage(&self, choice: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.resources];
        for (group, &option) in self.groups.iter().zip(choice) {
            for (sum, usage) in sums.iter_mut().zip(&group[option].usage) {
                *sum += usage;
            }
        }
        sums
    }

    /// Whether a usage keeps a limit; the last bits of sums of fractions are forgiven.
    pub fn keeps(used: f64, limit: f64) -> bool {
        used <= limit + limit * 1e-12
    }

    /// Whether a choice keeps every limit.
    pub fn is_feasible(&self, choice: &[usize]) -> bool {
        let usage = self.usage(choice);
        usage.iter().zip(&self.limits).all(|(&used, limit)| limit.is_none_or(|limit| Problem::keeps(used, limit)))
    }

    /// The largest usage / capacity of a usage; 0 without capacities.
    pub fn peak_of(&self, usage: &[f64]) -> f64 {
        let capacities = self.capacities.iter().flatten().zip(usage);
        let ratio = |(capacity, &used): (&Option<f64>, &f64)| match *capacity {
            Some(_) if used == 0.0 => 0.0,
            Some(capacity) => used / capacity,
            None => 0.0,
        };
        capacities.map(ratio).fold(0.0, f64::max)
    }
}
