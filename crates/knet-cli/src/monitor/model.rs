//! What is on the screen, and what keys do to it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::monitor::snapshot::{HostSnapshot, LinkSnapshot, Snapshot};

/// The state of the screen.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) snapshot: Snapshot,
    pub(crate) order: Order,
    /// The chosen link, by host and link id: it stays chosen when the order changes.
    selected: Option<(u16, u8)>,
}

/// In what order links are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// By host and link.
    Id,
    /// Those that are down first, then those that went down most recently.
    Trouble,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Id => "by host",
            Self::Trouble => "trouble first",
        }
    }
}

impl Model {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, order: Order::Id, selected: None }
    }

    /// The links in the order in which they are shown.
    pub(crate) fn rows(&self) -> Vec<(&HostSnapshot, &LinkSnapshot)> {
        let mut rows: Vec<_> = self.snapshot.links().collect();
        if self.order == Order::Trouble {
            // Stable, so that equals stay in the order of ids.
            rows.sort_by_key(|(_, link)| {
                (link.up, link.last_down.as_ref().map_or(u64::MAX, |last| last.ago_ms))
            });
        }
        rows
    }

    /// The row of the chosen link: the first unless another was chosen.
    pub(crate) fn selected_row(&self) -> usize {
        let rows = self.rows();
        let is_chosen = |(host, link): &(&HostSnapshot, &LinkSnapshot)| {
            Some((host.id, link.id)) == self.selected
        };
        rows.iter().position(is_chosen).unwrap_or(0)
    }

    /// Does what a key asks for; false if it asks to end.
    #[must_use]
    pub(crate) fn press(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return true;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('s') => {
                self.order = match self.order {
                    Order::Id => Order::Trouble,
                    Order::Trouble => Order::Id,
                };
            }
            KeyCode::Down | KeyCode::Char('j') => self.choose(|row| row + 1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(|row| row.saturating_sub(1)),
            KeyCode::PageDown => self.choose(|row| row + PAGE),
            KeyCode::PageUp => self.choose(|row| row.saturating_sub(PAGE)),
            KeyCode::Home => self.choose(|_| 0),
            KeyCode::End => self.choose(|_| usize::MAX),
            _ => {}
        }
        true
    }

    fn choose(&mut self, other: impl FnOnce(usize) -> usize) {
        let row = other(self.selected_row());
        let rows = self.rows();
        let row = rows.get(row.min(rows.len().saturating_sub(1)));
        self.selected = row.map(|(host, link)| (host.id, link.id));
    }
}

/// How many rows a page is.
const PAGE: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::example;

    fn pressed(keys: &[KeyCode]) -> Model {
        let mut model = Model::new(example::snapshot());
        for &key in keys {
            assert!(model.press(key.into()), "{key:?} ended it");
        }
        model
    }

    fn selected(keys: &[KeyCode]) -> (u16, u8) {
        let model = pressed(keys);
        let rows = model.rows();
        let (host, link) = rows[model.selected_row()];
        (host.id, link.id)
    }

    #[test]
    fn keys_choose_links_and_stop_at_the_ends() {
        use KeyCode::{Char, Down, End, Home, PageDown, PageUp, Up};
        for (keys, expected) in [
            (&[][..], (2, 0)),
            (&[Up], (2, 0)),
            (&[Down], (2, 1)),
            (&[Char('j'), Char('j'), Down], (3, 0)),
            (&[End, Char('k')], (2, 1)),
            (&[PageDown], (3, 0)),
            (&[End, PageUp], (2, 0)),
            (&[End, Home], (2, 0)),
        ] {
            assert_eq!(selected(keys), expected, "{keys:?}");
        }
    }

    #[test]
    fn trouble_comes_first_if_asked_for_and_the_choice_stays() {
        let ids = |model: &Model| -> Vec<_> {
            model.rows().iter().map(|(host, link)| (host.id, link.id)).collect()
        };
        let model = pressed(&[KeyCode::Down, KeyCode::Char('s')]);
        assert_eq!(ids(&model), [(3, 0), (2, 1), (2, 0)]);
        assert_eq!(model.selected_row(), 1);
        let model = pressed(&[KeyCode::Char('s'), KeyCode::Char('s')]);
        assert_eq!(ids(&model), [(2, 0), (2, 1), (3, 0)]);
    }

    #[test]
    fn q_and_control_c_end_it_and_other_keys_do_not() {
        let mut model = Model::new(example::snapshot());
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(!model.press(control_c));
        assert!(!model.press(KeyCode::Char('q').into()));
        assert!(!model.press(KeyCode::Esc.into()));
        assert!(model.press(KeyCode::Char('c').into()));
        assert!(model.press(KeyCode::Enter.into()));
    }

    #[test]
    fn nothing_to_choose_from_is_no_reason_to_fail() {
        let mut model = Model::new(Snapshot { hosts: Vec::new(), ..example::snapshot() });
        assert!(model.press(KeyCode::End.into()));
        assert_eq!(model.selected_row(), 0);
    }
}
