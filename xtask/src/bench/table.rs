//! The figures as text: a table in Markdown, which is also readable on a terminal, and JSON.

use serde_json::{Value, json};

use super::figures::{Figure, Losses};
use super::scenario::Target;

/// Returns a table in Markdown.
pub(super) fn markdown(figures: &[Figure]) -> String {
    let head = ["work", "figure", "measured", "compared with", "ratio", "target", "reached"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut last = "";
    for figure in figures {
        // Shown once for all of its figures.
        let title = if figure.title == last { String::new() } else { figure.title.clone() };
        last = &figure.title;
        rows.push(vec![
            title,
            figure.what.to_owned(),
            format!("{}: {} {}", figure.of.0, short(figure.of.1), figure.unit),
            compared(figure),
            figure.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            target(figure.target),
            match figure.is_reached() {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            }
            .to_owned(),
        ]);
    }
    align(&rows)
}

/// Formats what a figure is compared with, and the runs in which that lost messages.
fn compared(figure: &Figure) -> String {
    let value = figure.to.map(|(arm, value)| format!("{arm}: {} {}", short(value), figure.unit));
    let losses = figure.losses.as_ref().map(|Losses { arm, runs, of, reason }| {
        format!("{arm} lost messages in {runs} of {of} runs: {reason}")
    });
    [value, losses].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Formats columns of equal width, with a separator below the first row.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width =
        |column: usize| rows.iter().map(|row: &Vec<String>| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} "));
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text += &line(row);
        if index == 0 {
            text += &line(&rule);
        }
    }
    text
}

fn target(target: Target) -> String {
    match target {
        Target::AtLeast(limit) => format!("≥ {limit}"),
        Target::AtMost(limit) => format!("≤ {limit}"),
        Target::None => String::new(),
    }
}

/// Formats a number with three digits or more, whatever its order of magnitude.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Returns the figures for programs.
pub(super) fn json(figures: &[Figure]) -> Value {
    let rows = figures.iter().map(|figure| {
        json!({
            "scenario": figure.scenario,
            "title": figure.title,
            "figure": figure.what,
            "unit": figure.unit,
            "arm": figure.of.0,
            "median": figure.of.1,
            "compared_with": figure.to.map(|to| to.0),
            "median_of_compared": figure.to.map(|to| to.1),
            "ratio": figure.ratio,
            "target": target(figure.target),
            "reached": figure.is_reached(),
            "runs_with_losses": figure.losses.as_ref().map(|losses| losses.runs),
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ratio: f64, target: Target) -> Figure {
        Figure::example("throughput", ratio, target)
    }

    #[test]
    fn a_table_shows_what_was_reached() {
        let figures = [figure(3.0, Target::AtLeast(3.0)), figure(2.9, Target::AtLeast(3.0))];
        let table = markdown(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()));
        assert!(lines[2].contains("| ours: 300000 /s |") && lines[2].contains("| yes "), "{table}");
        assert!(lines[3].contains("2.90") && lines[3].contains("**no**"), "{table}");
        assert!(lines[2].contains("throughput") && !lines[3].contains("throughput"), "{table}");
    }

    #[test]
    fn runs_with_losses_are_named() {
        let reason = "a duplicate".to_owned();
        let losses = Losses { arm: "libknet", runs: 2, of: 5, reason };
        let lossy = Figure { losses: Some(losses), ..figure(3.0, Target::AtLeast(3.0)) };
        let table = markdown(std::slice::from_ref(&lossy));
        let cell = "| libknet: 100000 /s; libknet lost messages in 2 of 5 runs: a duplicate |";
        assert!(table.contains(cell), "{table}");
        let table = markdown(&[Figure { to: None, ratio: None, ..lossy }]);
        assert!(table.contains("| libknet lost messages in 2 of 5 runs"), "{table}");
        assert!(!table.contains("yes") && !table.contains("**no**"), "{table}");
    }

    #[test]
    fn programs_get_the_same() {
        let rows = json(&[figure(2.9, Target::AtLeast(3.0))]);
        assert_eq!(rows[0]["ratio"], 2.9);
        assert_eq!(rows[0]["reached"], false);
        assert_eq!(rows[0]["target"], "≥ 3");
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!([123_456.7, 12.34, 1.234].map(short), ["123457", "12.3", "1.23"]);
    }
}
