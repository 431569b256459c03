//! The state of the screen, and the effect of keys on it.

use termion::event::Key;

use crate::monitor::snapshot::{HostSnapshot, LinkSnapshot, Snapshot};

/// The state of the screen.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) snapshot: Snapshot,
    pub(crate) order: Order,
    /// The selected link, by host and link id, so that it stays selected when the order changes.
    selected: Option<(u16, u8)>,
    /// `true` while the help is shown.
    pub(crate) help: bool,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// To show what may have changed.
    Show,
    /// To stop the command until it is continued.
    Suspend,
    /// To end the command.
    End,
}

/// The order in which links are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// By host and link.
    Id,
    /// Links that are down first, then those that went down most recently.
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
        Self { snapshot, order: Order::Id, selected: None, help: false }
    }

    /// Returns the links in the order in which they are shown.
    pub(crate) fn rows(&self) -> Vec<(&HostSnapshot, &LinkSnapshot)> {
        let mut rows: Vec<_> = self.snapshot.links().collect();
        if self.order == Order::Trouble {
            // The sort is stable, so equal links stay in the order of their ids.
            rows.sort_by_key(|(_, link)| {
                (link.up, link.last_down.as_ref().map_or(u64::MAX, |last| last.ago_ms))
            });
        }
        rows
    }

    /// Returns the row of the selected link; the first row if no link was selected.
    pub(crate) fn selected_row(&self) -> usize {
        let rows = self.rows();
        let is_selected = |(host, link): &(&HostSnapshot, &LinkSnapshot)| {
            Some((host.id, link.id)) == self.selected
        };
        rows.iter().position(is_selected).unwrap_or(0)
    }

    /// Handles a key.
    #[must_use]
    pub(crate) fn press(&mut self, key: Key) -> Action {
        match key {
            // In raw mode these are keys and not signals.
            Key::Ctrl('c') => return Action::End,
            Key::Ctrl('z') => return Action::Suspend,
            Key::Char('q') => return Action::End,
            Key::Esc if self.help => self.help = false,
            Key::Esc => return Action::End,
            Key::Char('?') => self.help = !self.help,
            Key::Char('s') => {
                self.order = match self.order {
                    Order::Id => Order::Trouble,
                    Order::Trouble => Order::Id,
                };
            }
            Key::Down | Key::Char('j') => self.select(|row| row + 1),
            Key::Up | Key::Char('k') => self.select(|row| row.saturating_sub(1)),
            Key::PageDown => self.select(|row| row + PAGE),
            Key::PageUp => self.select(|row| row.saturating_sub(PAGE)),
            Key::Home => self.select(|_| 0),
            Key::End => self.select(|_| usize::MAX),
            _ => {}
        }
        Action::Show
    }

    fn select(&mut self, other: impl FnOnce(usize) -> usize) {
        let row = other(self.selected_row());
        let rows = self.rows();
        let row = rows.get(row.min(rows.len().saturating_sub(1)));
        self.selected = row.map(|(host, link)| (host.id, link.id));
    }
}

/// The number of rows of a page.
const PAGE: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::example;

    fn pressed(keys: &[Key]) -> Model {
        let mut model = Model::new(example::snapshot());
        for &key in keys {
            assert_eq!(model.press(key), Action::Show, "{key:?}");
        }
        model
    }

    fn selected(keys: &[Key]) -> (u16, u8) {
        let model = pressed(keys);
        let rows = model.rows();
        let (host, link) = rows[model.selected_row()];
        (host.id, link.id)
    }

    #[test]
    fn keys_select_links_and_stop_at_the_ends() {
        use Key::{Char, Down, End, Home, PageDown, PageUp, Up};
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
    fn trouble_comes_first_on_request_and_the_selection_stays() {
        let ids = |model: &Model| -> Vec<_> {
            model.rows().iter().map(|(host, link)| (host.id, link.id)).collect()
        };
        let model = pressed(&[Key::Down, Key::Char('s')]);
        assert_eq!(ids(&model), [(3, 0), (2, 1), (2, 0)]);
        assert_eq!(model.selected_row(), 1);
        let model = pressed(&[Key::Char('s'), Key::Char('s')]);
        assert_eq!(ids(&model), [(2, 0), (2, 1), (3, 0)]);
    }

    #[test]
    fn some_keys_end_or_stop_the_command() {
        for (key, action) in [
            (Key::Char('q'), Action::End),
            (Key::Esc, Action::End),
            (Key::Ctrl('c'), Action::End),
            (Key::Ctrl('z'), Action::Suspend),
            (Key::Char('c'), Action::Show),
            (Key::Char('z'), Action::Show),
            (Key::Char('\n'), Action::Show),
        ] {
            assert_eq!(Model::new(example::snapshot()).press(key), action, "{key:?}");
        }
    }

    #[test]
    fn the_help_comes_and_goes() {
        assert!(pressed(&[Key::Char('?')]).help);
        assert!(!pressed(&[Key::Char('?'), Key::Char('?')]).help);
        assert!(!pressed(&[Key::Char('?'), Key::Esc]).help, "escape leaves the help first");
    }

    #[test]
    fn nothing_can_be_selected_from_an_empty_table() {
        let mut model = Model::new(Snapshot { hosts: Vec::new(), ..example::snapshot() });
        assert_eq!(model.press(Key::End), Action::Show);
        assert_eq!(model.selected_row(), 0);
    }
}
