//! How the height of the screen is divided.

/// The heights of the parts of the screen, from top to bottom; 0 for what is not shown. The table is
/// between the title and the details, and the keys are at the bottom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heights {
    pub(crate) title: u16,
    /// The line above the table.
    pub(crate) top: u16,
    /// The header of the table and its rows.
    pub(crate) table: u16,
    /// The line below the table.
    pub(crate) bottom: u16,
    pub(crate) details: u16,
    /// The events with their title.
    pub(crate) log: u16,
    pub(crate) keys: u16,
}

impl Heights {
    /// Divides a screen that shows `links` links, and `details` lines about the selected one.
    ///
    /// Rows of the table come first: events and then details are shown in what is left. Details are
    /// shown too if they take at most a third of a screen whose rows have to be scrolled.
    pub(crate) fn new(screen: u16, links: usize, details: usize) -> Self {
        let title = u16::from(screen > 1);
        let keys = u16::from(screen > 3);
        let body = screen - title - keys;
        let wanted = u16::try_from(links).unwrap_or(u16::MAX).saturating_add(1);
        let details = u16::try_from(details).unwrap_or(u16::MAX);
        let with_details = details.saturating_add(1);
        let left = match body.checked_sub(wanted) {
            // One line alone would be the line below the table.
            Some(1) => 0,
            Some(left) => left,
            None if with_details <= body / 3 => with_details,
            None => 0,
        };
        let bottom = u16::from(left > 0);
        let details = details.min(left - bottom);
        let left = left - bottom - details;
        let top = u16::from(left > 0);
        let left = left - top;
        // The title of the events alone is of no use.
        let log = if left > 1 { left } else { 0 };
        let table = body - top - bottom - details - log;
        Self { title, top, table, bottom, details, log, keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(screen: u16, links: usize, details: usize) -> [u16; 7] {
        let Heights { title, top, table, bottom, details, log, keys } =
            Heights::new(screen, links, details);
        [title, top, table, bottom, details, log, keys]
    }

    #[test]
    fn everything_fits_on_a_large_screen() {
        assert_eq!(heights(24, 3, 3), [1, 1, 4, 1, 3, 13, 1]);
    }

    #[test]
    fn events_make_way_first_and_then_details() {
        assert_eq!(heights(12, 3, 3), [1, 1, 5, 1, 3, 0, 1]);
        assert_eq!(heights(10, 3, 3), [1, 0, 4, 1, 3, 0, 1]);
        assert_eq!(heights(8, 3, 3), [1, 0, 4, 1, 1, 0, 1]);
        assert_eq!(heights(7, 3, 3), [1, 0, 5, 0, 0, 0, 1]);
        assert_eq!(heights(5, 3, 3), [1, 0, 3, 0, 0, 0, 1]);
    }

    #[test]
    fn rows_that_are_scrolled_leave_a_third_to_the_details() {
        assert_eq!(heights(24, 30, 4), [1, 0, 17, 1, 4, 0, 1]);
        assert_eq!(heights(16, 30, 4), [1, 0, 14, 0, 0, 0, 1]);
    }

    #[test]
    fn the_parts_fill_any_screen() {
        for screen in 0..100 {
            for links in [0, 1, 5, 50, 8000] {
                for details in [0, 1, 3, 70_000] {
                    let sum: u16 = heights(screen, links, details).iter().sum();
                    assert_eq!(sum, screen, "{links} links, {details} lines");
                }
            }
        }
    }
}
