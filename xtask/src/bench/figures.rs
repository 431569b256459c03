//! The figures of the table, from the reports of all rounds.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::measure::{Outcome, number};
use super::scenario::{Quantity, Row, Scenario, Target};

/// The results of one round, by the label of the arm.
pub(super) type Round = BTreeMap<&'static str, Outcome>;

/// The result of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) scenario: &'static str,
    pub(super) title: String,
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    /// The label of the arm, and the median of all rounds.
    pub(super) of: (&'static str, f64),
    /// The same of the arm that it is compared with.
    pub(super) to: Option<(&'static str, f64)>,
    /// The median of the ratios within each round, which cancels disturbances that affect both. `None`
    /// also if one of the two lost messages in every round.
    pub(super) ratio: Option<f64>,
    pub(super) target: Target,
    pub(super) losses: Option<Losses>,
}

#[cfg(test)]
impl Figure {
    pub(super) fn example(title: &str, ratio: f64, target: Target) -> Self {
        Self {
            scenario: "tput",
            title: title.to_owned(),
            what: "messages",
            unit: "/s",
            of: ("ours", 300_000.0),
            to: Some(("libknet", 100_000.0)),
            ratio: Some(ratio),
            target,
            losses: None,
        }
    }
}

/// The runs in which an arm lost messages. They have no figures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Losses {
    pub(super) arm: &'static str,
    pub(super) runs: usize,
    pub(super) of: usize,
    /// The reason of the first.
    pub(super) reason: String,
}

impl Figure {
    /// Returns the value that the target refers to.
    pub(super) fn value(&self) -> f64 {
        self.ratio.unwrap_or(self.of.1)
    }

    /// Returns whether the target is reached, or `None` without a target or without a value.
    pub(super) fn is_reached(&self) -> Option<bool> {
        if self.losses.is_some() && self.ratio.is_none() {
            return None;
        }
        self.target.is_reached(self.value())
    }
}

/// Returns the figures of a scenario.
pub(super) fn figures(scenario: &Scenario, rounds: &[Round]) -> Result<Vec<Figure>> {
    scenario.rows.iter().map(|row| figure(scenario, row, rounds)).collect()
}

fn figure(scenario: &Scenario, row: &Row, rounds: &[Round]) -> Result<Figure> {
    let of = values(row.of, rounds)?;
    let to = row.to.map(|to| values(to, rounds)).transpose()?;
    let ratio = to.as_ref().map(|to| {
        of.iter().zip(to).filter_map(|(of, to)| Some((*of)? / (*to)?)).collect::<Vec<f64>>()
    });
    let measured = |values: Vec<Option<f64>>| values.into_iter().flatten().collect::<Vec<f64>>();
    let of = median(measured(of)).with_context(|| format!("{} lost messages", row.of.arm))?;
    Ok(Figure {
        scenario: scenario.name,
        title: scenario.title.clone(),
        what: row.what,
        unit: row.of.unit,
        of: (row.of.arm, of),
        to: row.to.map(|to| to.arm).zip(to.and_then(|to| median(measured(to)))),
        ratio: ratio.and_then(median),
        target: row.target,
        losses: row.to.and_then(|to| losses(to.arm, rounds)),
    })
}

/// Returns the runs in which an arm lost messages, if there are any.
fn losses(arm: &'static str, rounds: &[Round]) -> Option<Losses> {
    let reasons: Vec<&String> = rounds
        .iter()
        .filter_map(|round| match round.get(arm) {
            Some(Outcome::Loss(reason)) => Some(reason),
            _ => None,
        })
        .collect();
    let reason = (*reasons.first()?).clone();
    Some(Losses { arm, runs: reasons.len(), of: rounds.len(), reason })
}

/// Returns a quantity in each round, `None` where messages were lost.
fn values(quantity: Quantity, rounds: &[Round]) -> Result<Vec<Option<f64>>> {
    rounds.iter().map(|round| value(quantity, round)).collect()
}

fn value(quantity: Quantity, round: &Round) -> Result<Option<f64>> {
    let of = |arm| match round.get(arm).with_context(|| format!("{arm} was not measured"))? {
        Outcome::Report(report) => number(report, quantity.pointer).map(Some),
        Outcome::Loss(_) => Ok(None),
    };
    let less = quantity.minus.map_or(Ok(Some(0.0)), of)?;
    Ok(of(quantity.arm)?.zip(less).map(|(of, less)| (of - less) * quantity.scale))
}

/// Returns the middle value, or the mean of the two in the middle; `None` without any.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::scenario::{Arm, Place, Subject};

    const RATE: Quantity =
        Quantity { arm: "ours", pointer: "/rate", minus: None, scale: 2.0, unit: "/s" };

    fn round(ours: f64, theirs: f64) -> Round {
        let report = |rate: f64| Outcome::Report(json!({ "rate": rate }));
        BTreeMap::from([("ours", report(ours)), ("libknet", report(theirs))])
    }

    fn scenario(row: Row) -> Scenario {
        let arm = Arm {
            label: "ours",
            subject: Subject::Ours,
            place: Place::OneProcess,
            count: 1,
            plan: String::new(),
        };
        Scenario { name: "x", title: String::new(), arms: vec![arm], rows: vec![row] }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds() {
        // The machine was ten times as fast in the last round, for both.
        let rounds = [round(3.0, 1.0), round(8.0, 4.0), round(30.0, 10.0)];
        let to = Some(Quantity { arm: "libknet", ..RATE });
        let row = Row { what: "rate", of: RATE, to, target: Target::AtLeast(3.0) };
        let figure = &figures(&scenario(row), &rounds).unwrap()[0];
        assert_eq!(figure.of, ("ours", 16.0));
        assert_eq!(figure.to, Some(("libknet", 8.0)));
        assert_eq!((figure.ratio, figure.is_reached()), (Some(3.0), Some(true)));
    }

    #[test]
    fn a_difference_is_taken_before_it_is_scaled() {
        let rounds = [round(3.0, 1.0), round(7.0, 1.0)];
        let of = Quantity { minus: Some("libknet"), ..RATE };
        let row = Row { what: "more", of, to: None, target: Target::AtMost(7.0) };
        let figure = &figures(&scenario(row), &rounds).unwrap()[0];
        assert_eq!((figure.value(), figure.is_reached()), (8.0, Some(false)));
    }

    #[test]
    fn a_run_that_loses_messages_has_no_figures_and_the_others_do() {
        let lost = |ours| {
            let mut round = round(ours, 1.0);
            round.insert("libknet", Outcome::Loss("a duplicate".to_owned()));
            round
        };
        let to = Some(Quantity { arm: "libknet", ..RATE });
        let row = Row { what: "rate", of: RATE, to, target: Target::AtLeast(3.0) };
        let scenario = scenario(row);
        let figure = &figures(&scenario, &[lost(50.0), round(8.0, 2.0)]).unwrap()[0];
        assert_eq!((figure.to, figure.ratio), (Some(("libknet", 4.0)), Some(4.0)));
        let losses = figure.losses.as_ref().unwrap();
        assert_eq!((losses.arm, losses.runs, losses.of), ("libknet", 1, 2));

        let figure = &figures(&scenario, &[lost(50.0)]).unwrap()[0];
        assert_eq!((figure.of, figure.to), (("ours", 100.0), None));
        assert_eq!((figure.ratio, figure.is_reached()), (None, None));
    }

    #[test]
    fn a_missing_value_of_a_report_is_named() {
        let row = Row {
            what: "x",
            of: Quantity { pointer: "/nothing", ..RATE },
            to: None,
            target: Target::None,
        };
        let error = figures(&scenario(row), &[round(1.0, 1.0)]).unwrap_err().to_string();
        assert!(error.contains("/nothing"), "{error}");
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_in_between() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(vec![7.0]), Some(7.0));
        assert_eq!(median(vec![]), None);
    }
}
