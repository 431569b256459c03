//! Draws the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};

use crate::monitor::clock::time_of_day;
use crate::monitor::columns::{HEADERS, cells, details};
use crate::monitor::model::Model;
use crate::monitor::snapshot::{HostSnapshot, LinkSnapshot};

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let [title, table, selected, log, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(2),
        Constraint::Length(3),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(model, title.width), title);
    draw_links(frame, model, table);
    let rows = model.rows();
    if let Some((host, link)) = rows.get(model.selected_row()) {
        frame.render_widget(Paragraph::new(details(host, link).map(Line::from).to_vec()), selected);
    }
    draw_log(frame, model, log);
    let help = format!("q quit   up/down select   s order: {}   ", model.order.name());
    let strays = model.snapshot.strays.words().unwrap_or_default();
    frame.render_widget(Line::from_iter([help.dim(), strays.fg(Color::Red)]), keys);
}

/// Formats our host id, the summary and the time.
fn headline(model: &Model, width: u16) -> Line<'static> {
    let snapshot = &model.snapshot;
    let left = format!("knet monitor: host {}: {}", snapshot.id, snapshot.summary());
    let clock = format!("{} UTC", time_of_day(snapshot.unix_time));
    let room = usize::from(width).saturating_sub(left.len() + 1);
    let color = if snapshot.all_reachable { Color::Green } else { Color::Red };
    Line::from(format!("{left} {clock:>room$}")).style(Style::new().fg(color).bold())
}

fn draw_links(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let rows = model.rows();
    let rows = rows.iter().map(|(host, link)| row(host, link));
    let last = HEADERS.len() - 1;
    let widths = HEADERS.iter().enumerate().map(|(column, header)| {
        // A latency such as 0.08 ms fits below its own header only.
        let width = u16::try_from(header.len()).unwrap_or(u16::MAX).max(5);
        if column == last { Constraint::Fill(1) } else { Constraint::Length(width) }
    });
    let header = Row::new(HEADERS).style(Style::new().bold());
    let table = Table::new(rows, widths)
        .header(header)
        .row_highlight_style(Modifier::REVERSED)
        .block(Block::new().borders(Borders::TOP | Borders::BOTTOM));
    // Makes the table scroll to the selected row.
    let mut state = TableState::new().with_selected(model.selected_row());
    frame.render_stateful_widget(table, area, &mut state);
}

fn row(host: &HostSnapshot, link: &LinkSnapshot) -> Row<'static> {
    let color = if link.up { Color::Green } else { Color::Red };
    let reach = if host.reachable { Color::Green } else { Color::Red };
    let cells = cells(host, link).into_iter().enumerate().map(|(column, text)| match column {
        1 => Cell::from(text.fg(reach)),
        3 => Cell::from(text.fg(color)),
        _ => Cell::from(text),
    });
    Row::new(cells)
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

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    use super::*;
    use crate::monitor::example;

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
        assert!(model.press(KeyCode::Down.into()));
        let expected = drawn(&model, 100, 18).join("\n");
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
        let first = drawn(&model, 80, 14).join("\n");
        assert!(first.contains("10.0.0.2:5405") && !first.contains("3     no    7"), "{first}");
        assert!(model.press(KeyCode::End.into()));
        let last = drawn(&model, 80, 14).join("\n");
        assert!(last.contains("10.0.7.3:5405") && last.contains("3     no    7"), "{last}");
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
