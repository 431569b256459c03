//! The ratios as a chart (SVG): a bar for each, and a mark where its target is.

use std::fmt::Write;

use super::figures::Figure;
use super::scenario::Target;
use super::table::short;

/// Draws the figures that are ratios with a target, one bar each. The scale is logarithmic, so that
/// half as fast and twice as fast are equally far from 1.
pub(super) fn svg(figures: &[Figure]) -> String {
    let bars: Vec<(&Figure, f64)> = figures
        .iter()
        .filter(|figure| figure.target != Target::None)
        .filter_map(|figure| figure.ratio.map(|ratio| (figure, ratio)))
        .collect();
    let height = TOP + ROW * bars.len() as f64 + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>kronosnet in Rust, compared in one run</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for tick in TICKS {
        let x = position(tick);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}×</text>",
            height - 25.0,
            TOP - 8.0
        );
    }
    for (index, (figure, ratio)) in bars.iter().enumerate() {
        bar(&mut text, TOP + ROW * index as f64, figure, *ratio);
    }
    let _ = writeln!(
        text,
        "<text x=\"10\" y=\"{:.1}\">Bars: measured ratio. Line: target. Green: reached.</text>\n</svg>",
        height - 8.0
    );
    text
}

fn bar(text: &mut String, y: f64, figure: &Figure, ratio: f64) {
    let (start, end) = (position(1.0), position(ratio));
    let (left, width) = (start.min(end), (end - start).abs().max(1.0));
    let colour = if figure.is_reached() == Some(true) { "#3a9d5d" } else { "#d0653f" };
    let compared = figure.to.map_or("", |to| to.0);
    let what = escape(&format!("{}: {} / {compared}", figure.title, figure.what));
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{what}</text>\
         <rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT - 10.0,
        y + 14.0,
        y + 3.0,
        ROW - 6.0,
        left + width + 4.0,
        y + 14.0,
        short(ratio)
    );
    if let Target::AtLeast(limit) | Target::AtMost(limit) = figure.target {
        let x = position(limit);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"black\" \
             stroke-width=\"2\"/>",
            y + ROW
        );
    }
}

/// Returns the horizontal position of a ratio.
fn position(ratio: f64) -> f64 {
    let (least, most) = (TICKS[0].ln(), TICKS[TICKS.len() - 1].ln());
    let part = (ratio.ln() - least) / (most - least);
    LEFT + (WIDTH - LEFT - 60.0) * part.clamp(0.0, 1.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const WIDTH: f64 = 1000.0;
/// The width of the labels of the bars.
const LEFT: f64 = 500.0;
const TOP: f64 = 30.0;
const ROW: f64 = 20.0;
const TICKS: [f64; 8] = [0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0];

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ratio: f64, target: Target) -> Figure {
        Figure::example("a < b", ratio, target)
    }

    #[test]
    fn each_ratio_with_a_target_has_a_bar_and_a_mark() {
        let chart = svg(&[
            figure(3.5, Target::AtLeast(3.0)),
            figure(0.9, Target::AtMost(0.35)),
            figure(1.0, Target::None),
        ]);
        assert_eq!(chart.matches("<rect x=").count(), 2);
        assert_eq!(chart.matches("stroke=\"black\"").count(), 2);
        assert_eq!((chart.matches("#3a9d5d").count(), chart.matches("#d0653f").count()), (1, 1));
        assert!(chart.contains("a &lt; b: messages / libknet") && chart.ends_with("</svg>\n"));
    }

    #[test]
    fn the_scale_stays_within_the_picture() {
        assert!(position(0.5) < position(1.0) && position(1.0) < position(2.0));
        assert_eq!(position(0.001), position(0.1));
        assert!(position(1000.0) <= WIDTH - 60.0);
    }
}
