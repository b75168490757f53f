//! `hwgen allocate`: the best widths that a table and a budget leave.

use crate::cli::AllocateOptions;
use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::output::print;
use crate::plan_file::read_text;
use crate::progress;
use crate::table::align;
use network::Code;
use quantizer::allocate::{Budget, Problem, Solution, Tables};
use serde_json::{Value, json};
use std::fmt::Write;

/// Reads, solves and reports.
pub fn run(options: &AllocateOptions, as_json: bool) -> Outcome<()> {
    // The search asks nobody whether to stop.
    let interrupt = Interrupt::ending();
    let budget = Budget::parse(&options.budget)?;
    let text = read_text(&options.tables, Code::AllocationTable)?;
    let tables = Tables::parse(&text, &options.tables.display().to_string())?;
    let problem = Problem::new(&tables, &budget)?;
    let spinner = progress::spinner("solving", as_json);
    let solution = problem.solve().map_err(|infeasible| infeasible.diagnostic());
    spinner.finish_and_clear();
    interrupt.check()?;
    let solution = solution?;
    if as_json {
        return Ok(print(&format!("{:#}\n", report(&problem, &solution)))?);
    }
    Ok(print(&text_of(&problem, &solution))?)
}

/// The widths, costs and proof as JSON; the field names are stable.
pub fn report(problem: &Problem<'_>, solution: &Solution) -> Value {
    let layers = problem.tables().layers.iter().enumerate().map(|(index, layer)| {
        let (weights, activations) = problem.widths(index, &solution.choice);
        let build = build_of(problem, solution, index);
        json!({ "name": layer.name, "weight_bits": weights, "activation_bits": activations, "build": build })
    });
    let costs = problem.costs().iter().zip(&solution.costs);
    let costs: serde_json::Map<String, Value> = costs.map(|(name, cost)| (name.clone(), json!(cost))).collect();
    let limits = problem.limits().iter().map(|&(cost, most)| (problem.costs()[cost].clone(), json!(most)));
    json!({
        "layers": layers.collect::<Vec<_>>(),
        "loss": solution.loss,
        "bound": solution.bound,
        "proved": solution.proved,
        "costs": costs,
        "limits": limits.collect::<serde_json::Map<_, _>>(),
    })
}

/// Name of the build of a layer, where it has a list of them.
fn build_of<'a>(problem: &Problem<'a>, solution: &Solution, layer: usize) -> Option<&'a str> {
    let place = solution.builds.get(layer).copied().flatten()?;
    let builds = problem.tables().layers[layer].builds.get(&problem.widths(layer, &solution.choice))?;
    Some(builds.get(place)?.name.as_str())
}

fn text_of(problem: &Problem<'_>, solution: &Solution) -> String {
    let mut lines = vec![["layer", "weights", "reads", "parameters", "MACs", "build"].map(str::to_owned).to_vec()];
    for (index, layer) in problem.tables().layers.iter().enumerate() {
        let (weights, activations) = problem.widths(index, &solution.choice);
        lines.push(vec![
            layer.name.clone(),
            weights.to_string(),
            activations.to_string(),
            layer.parameters.to_string(),
            layer.macs.to_string(),
            build_of(problem, solution, index).unwrap_or_default().to_owned(),
        ]);
    }
    let mut text = align(&lines, &[1, 2, 3, 4]);
    text.push('\n');
    let widest = problem.totals(&problem.widest());
    let mut costs = vec![["cost", "chosen", "widest", "limit"].map(str::to_owned).to_vec()];
    for (cost, name) in problem.costs().iter().enumerate() {
        let limit = problem.limits().iter().find(|(limited, _)| *limited == cost);
        let shown = limit.map_or("-".to_owned(), |(_, most)| amount(*most));
        if widest[cost] > 0.0 || limit.is_some() {
            costs.push(vec![name.clone(), amount(solution.costs[cost]), amount(widest[cost]), shown]);
        }
    }
    text += &align(&costs, &[1, 2, 3]);
    let proof = if solution.proved {
        "proved to be the least".to_owned()
    } else {
        format!("not proved; none is below {}", amount(solution.bound))
    };
    let _ = writeln!(text, "\nloss {}, {proof}", amount(solution.loss));
    text
}

/// A number with at most six significant digits behind its point.
pub fn amount(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
