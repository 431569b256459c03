//! Draws the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};

use crate::monitor::clock::time_of_day;
use crate::monitor::columns::{self, HEADERS, cells, details};
use crate::monitor::layout::Heights;
use crate::monitor::model::Model;
use crate::monitor::snapshot::{HostSnapshot, LinkSnapshot, Snapshot};

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let width = frame.area().width;
    let rows = model.rows();
    let details = match rows.get(model.selected_row()) {
        Some((host, link)) => wrapped(&details(host, link), width),
        None => Vec::new(),
    };
    let heights = Heights::new(frame.area().height, rows.len(), details.len());
    let Heights { title, top, table, bottom, log, keys, .. } = heights;
    let lengths = [title, top, table, bottom, heights.details, log, keys].map(Constraint::Length);
    let [title, top, table, bottom, selected, log, keys] =
        Layout::vertical(lengths).areas(frame.area());
    frame.render_widget(headline(&model.snapshot, width), title);
    frame.render_widget(keys_line(model, width), keys);
    if model.help {
        let area = top.union(table).union(bottom).union(selected).union(log);
        frame.render_widget(Paragraph::new(HELP.map(Line::from).to_vec()), area);
        return;
    }
    let rule = Block::new().borders(Borders::TOP);
    frame.render_widget(&rule, top);
    let shown = draw_links(frame, model, table);
    frame.render_widget(rule.title(shown.unwrap_or_default()), bottom);
    frame.render_widget(Paragraph::new(details), selected);
    draw_log(frame, model, log);
}

/// Breaks lines that do not fit at spaces, and indents what follows.
fn wrapped(lines: &[String], width: u16) -> Vec<Line<'static>> {
    let options = textwrap::Options::new(width.into()).subsequent_indent("  ");
    let lines = lines.iter().flat_map(|line| textwrap::wrap(line, &options));
    lines.map(|line| Line::from(line.into_owned())).collect()
}

/// Formats our host id, the summary and the time, as far as they fit.
fn headline(snapshot: &Snapshot, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let long = format!("knet monitor: host {}: {}", snapshot.id, snapshot.summary());
    let short = format!("host {}: {}", snapshot.id, snapshot.short_summary());
    let left = if long.len() <= width { long } else { short };
    let time = time_of_day(snapshot.unix_time);
    let clocks = [format!("{time} UTC"), time];
    let room = width.saturating_sub(left.len() + 1);
    let clock = clocks.into_iter().find(|clock| clock.len() <= room).unwrap_or_default();
    let color = if snapshot.all_reachable { Color::Green } else { Color::Red };
    Line::from(format!("{left} {clock:>room$}")).style(Style::new().fg(color).bold())
}

/// Formats the keys and what was discarded. On a narrow screen the keys make way.
fn keys_line(model: &Model, width: u16) -> Line<'static> {
    let strays = model.snapshot.strays.words().unwrap_or_default();
    let order = model.order.name();
    let room = usize::from(width).saturating_sub(strays.len());
    let texts = [
        format!("q quit   ? help   up/down select   s order: {order}   "),
        format!("q quit   ? help   s order: {order}   "),
        "q quit   ? help   ".to_owned(),
    ];
    let [.., shortest] = &texts;
    let text = texts.iter().find(|text| text.trim_end().len() <= room).unwrap_or(shortest);
    Line::from_iter([text.clone().dim(), strays.fg(Color::Red)])
}

/// Draws the table, scrolled to the selected link. Returns which rows it shows if these are not all.
fn draw_links(frame: &mut Frame<'_>, model: &Model, area: Rect) -> Option<String> {
    let rows = model.rows();
    let fitting = columns::fitting(area.width);
    let widths = fitting.iter().map(|&column| match columns::width(column) {
        width if column == columns::LAST => Constraint::Min(width),
        width => Constraint::Length(width),
    });
    let header = Row::new(fitting.iter().map(|&column| HEADERS[column]));
    let table = Table::new(rows.iter().map(|(host, link)| row(host, link, &fitting)), widths)
        .header(header.style(Style::new().bold()))
        .row_highlight_style(Modifier::REVERSED);
    let mut state = TableState::new().with_selected(model.selected_row());
    frame.render_stateful_widget(table, area, &mut state);
    let visible = usize::from(area.height.saturating_sub(1));
    let first = state.offset();
    let last = (first + visible).min(rows.len());
    (last - first.min(last) < rows.len())
        .then(|| format!("links {} to {last} of {}", first + 1, rows.len()))
}

fn row(host: &HostSnapshot, link: &LinkSnapshot, fitting: &[usize]) -> Row<'static> {
    let color = if link.up { Color::Green } else { Color::Red };
    let reach = if host.reachable { Color::Green } else { Color::Red };
    let texts = cells(host, link);
    Row::new(fitting.iter().map(|&column| match (column, texts[column].clone()) {
        (1, text) => Cell::from(text.fg(reach)),
        (3, text) => Cell::from(text.fg(color)),
        (_, text) => Cell::from(text),
    }))
}

/// Draws the latest events that fit, the latest at the bottom.
fn draw_log(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let events = &model.snapshot.events;
    // The border takes one line.
    let hidden = events.len().saturating_sub(usize::from(area.height).saturating_sub(1));
    let lines = events.iter().skip(hidden);
    let lines =
        lines.map(|event| Line::from(format!("{} {}", time_of_day(event.unix_time), event.text)));
    let block = Block::new().borders(Borders::TOP).title("events");
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

/// What the help shows.
const HELP: [&str; 9] = [
    "",
    "up, k          select the link above",
    "down, j        select the link below",
    "page up, down  select ten links further",
    "home, end      select the first, the last link",
    "s              order by host, or links in trouble first",
    "?              show or leave this help",
    "control-Z      stop until fg",
    "q, control-C   end",
];

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use termion::event::Key;

    use super::*;
    use crate::monitor::example;
    use crate::monitor::model::Action;

    fn drawn(model: &Model, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width).max(1));
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn the_screenshot_in_the_documentation_is_true() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("```text\nknet monitor:").expect("a screenshot");
        let (screenshot, _) = rest.split_once("\n```").expect("its end");
        let mut model = Model::new(example::snapshot());
        assert_eq!(model.press(Key::Down), Action::Show);
        let expected = drawn(&model, 100, 16).join("\n");
        assert_eq!(format!("knet monitor:{screenshot}"), expected, "it should be:\n{expected}");
    }

    #[test]
    fn the_table_scrolls_to_the_selected_link() {
        let mut snapshot = example::snapshot();
        let link = snapshot.hosts[1].links[0].clone();
        snapshot.hosts[1].links = (0..8)
            .map(|id| crate::monitor::snapshot::LinkSnapshot {
                id,
                remote: format!("10.0.{id}.3:5405"),
                ..link.clone()
            })
            .collect();
        let mut model = Model::new(snapshot);
        let first = drawn(&model, 80, 11).join("\n");
        assert!(first.contains("2     yes   0") && !first.contains("3     no    7"), "{first}");
        assert_eq!(model.press(Key::End), Action::Show);
        let last = drawn(&model, 80, 11).join("\n");
        assert!(!last.contains("2     yes   0") && last.contains("3     no    7"), "{last}");
    }

    /// Returns a cluster of this many peers with a link each.
    fn cluster(peers: u16) -> Model {
        let example = example::snapshot();
        let hosts = (2..).take(peers.into()).map(|id| HostSnapshot {
            id,
            reachable: true,
            links: vec![example.hosts[0].links[1].clone()],
        });
        Model::new(Snapshot { hosts: hosts.collect(), ..example })
    }

    #[test]
    fn a_small_screen_shows_rows_first() {
        let many = drawn(&cluster(30), 80, 24);
        let rows = many.iter().filter(|line| line.contains(" up ")).count();
        assert!(rows >= 16, "{many:#?}");
        assert!(many.iter().any(|line| line.starts_with("links 1 to 16 of 30")), "{many:#?}");
        assert!(many[1].starts_with("HOST"), "{many:#?}");

        let few = drawn(&cluster(3), 40, 10).join("\n");
        let expected = "\
host 1: 3/3 peers, 3/3 links    01:46:40
HOST  REACH LINK STATE LATENCY LAST DOWN
2     yes   1    up    1.34 ms 3 min ago
3     yes   1    up    1.34 ms 3 min ago
4     yes   1    up    1.34 ms 3 min ago
────────────────────────────────────────
link 1 to host 2:
  10.0.1.1:5405=10.0.1.2:5405, up for 12
  min, 2 times up, once down
q quit   ? help   discarded: 12 from unk";
        assert_eq!(few, expected, "\n{few}");
    }

    #[test]
    fn the_help_replaces_the_table() {
        let mut model = cluster(3);
        assert_eq!(model.press(Key::Char('?')), Action::Show);
        let screen = drawn(&model, 60, 12).join("\n");
        assert!(screen.contains("control-Z") && !screen.contains("HOST"), "{screen}");
    }

    #[test]
    fn the_newest_events_are_shown_when_not_all_fit() {
        let mut snapshot = example::snapshot();
        let event = snapshot.events[0].clone();
        snapshot.events = (0..100)
            .map(|n| crate::monitor::log_entry::LogEntry {
                text: format!("event {n}"),
                ..event.clone()
            })
            .collect();
        let screen = drawn(&Model::new(snapshot), 80, 24).join("\n");
        assert!(screen.contains("event 99") && !screen.contains("event 0\n"), "{screen}");
    }

    #[test]
    fn a_window_of_any_size_can_be_drawn() {
        let model = Model::new(example::snapshot());
        for width in [0, 1, 7, 40, 300] {
            for height in [0, 1, 2, 5, 9, 60] {
                drawn(&model, width, height);
            }
        }
    }
}
