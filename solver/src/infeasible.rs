//! What makes a problem impossible, and how near one can come.

use crate::instance::Goal;
use crate::problem::Problem;
use crate::search::Stop;
use crate::solve::Infeasible;

/// What is impossible: a limit below the least usage of its resource, or with `jointly` (when a search has proved it)
/// all limits together. `None` where no single limit is impossible and `jointly` is not set.
pub(crate) fn explain(problem: &Problem, stop: &Stop, jointly: bool) -> Option<Infeasible> {
    let limits = effective_limits(problem);
    let least: Vec<f64> = (0..problem.resources())
        .map(|resource| {
            let least = problem
                .groups()
                .iter()
                .map(|group| group.iter().map(|option| option.usage[resource]).fold(f64::INFINITY, f64::min));
            least.sum()
        })
        .collect();
    let impossible = |resource: &usize| limits[*resource].is_some_and(|limit| !Problem::keeps(least[*resource], limit));
    let resource = (0..problem.resources()).find(impossible);
    if resource.is_none() && !jointly {
        return None;
    }
    // The limits become capacities; those of 0 that cannot be kept say nothing about how near one comes.
    let capacities: Vec<Option<f64>> = (0..problem.resources())
        .map(|resource| limits[resource].filter(|&limit| limit > 0.0 || least[resource] == 0.0))
        .collect();
    let barred: Vec<Option<f64>> = capacities.iter().map(|capacity| capacity.filter(|&c| c == 0.0)).collect();
    let mut relaxed = problem.clone();
    let effort = Stop { gap: stop.gap.max(1e-3), steps: stop.steps / 4, deadline: stop.deadline };
    let nearest = |problem: &Problem, barred: &[Option<f64>]| {
        problem.minimise(Goal::Peak, barred, None, &effort).best.map(|(_, choice)| choice)
    };
    relaxed.replace_capacities(capacities.clone());
    let choice = nearest(&relaxed, &barred).or_else(|| {
        // Several zero limits that only together cannot be kept.
        relaxed.replace_capacities(capacities.iter().map(|capacity| capacity.filter(|&c| c > 0.0)).collect());
        nearest(&relaxed, &vec![None; problem.resources()])
    })?;
    let usage = problem.usage(&choice);
    let breaks = |resource: &usize| limits[*resource].is_some_and(|limit| !Problem::keeps(usage[*resource], limit));
    let broken = (0..problem.resources()).filter(breaks).collect();
    Some(Infeasible { resource, least, nearest: choice, usage, broken })
}

/// The limits, and 0 for resources without capacity.
fn effective_limits(problem: &Problem) -> Vec<Option<f64>> {
    let none = |resource: usize| problem.capacities().is_some_and(|capacities| capacities[resource] == Some(0.0));
    let limit = |(resource, limit): (usize, &Option<f64>)| if none(resource) { Some(0.0) } else { *limit };
    problem.limits().iter().enumerate().map(limit).collect()
}
