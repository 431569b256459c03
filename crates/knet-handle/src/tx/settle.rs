//! Counts what became of the messages of a batch.

use knet_engine::Routes;

use crate::datafds::counters::{Counters, count};
use crate::error::Error;
use crate::send_report::{NotSent, SendFailure};
use crate::tx::message::Message;
use crate::tx::outgoing::{MessageCopy, Plan};
use crate::tx::plan::Planner;

/// Counts what became of the messages whose packets have left or have been refused, and records the
/// failures if the planner reports them.
pub(crate) fn settle(
    plan: &mut Plan,
    planner: &mut Planner,
    routes: &Routes,
    messages: &[Message<'_>],
    counters: &Counters,
) {
    let (mut sent, mut bytes) = (0, 0);
    let same_message = |one: &MessageCopy, two: &MessageCopy| one.message == two.message;
    let same_host = |one: &MessageCopy, two: &MessageCopy| one.host == two.host;
    for message in plan.message_copies.chunk_by(same_message) {
        let (mut left, mut reason) = (false, None);
        for host in message.chunk_by(same_host) {
            // One whole copy is enough.
            if host.iter().any(|copy| copy.refused.is_none()) {
                left = true;
                continue;
            }
            let refused = host.iter().find_map(|copy| copy.refused);
            reason = reason.or(refused);
            let route = host.first().and_then(|copy| routes.at(copy.host));
            if let (true, Some(reason), Some(route)) = (planner.is_reporting(), refused, route) {
                planner.record_failure(SendFailure { host: route.host(), reason });
            }
        }
        if left {
            sent += 1;
            let index = message.first().map(|copy| copy.message);
            let message = index.and_then(|index| messages.get(index));
            bytes += message.map_or(0, |message| message.plain.len() as u64);
        } else {
            count(counter_of(counters, reason), 1);
        }
    }
    plan.message_copies.clear();
    if sent > 0 {
        count(&counters.tx_messages, sent);
        count(&counters.tx_bytes, bytes);
    }
}

/// Returns the counter of messages that left for no host, for this reason.
fn counter_of(counters: &Counters, reason: Option<NotSent>) -> &std::sync::atomic::AtomicU64 {
    match reason {
        Some(NotSent::TooLong) => &counters.tx_too_long,
        Some(NotSent::QueueFull) => &counters.tx_queue_full,
        Some(NotSent::Unknown | NotSent::Unreachable) => &counters.tx_no_destination,
        Some(NotSent::Refused { .. }) | None => &counters.tx_not_sent,
    }
}

/// Counts a message that was not planned, by the reason.
pub(crate) fn count_refusal(counters: &Counters, error: &Error) {
    let counter = match error {
        Error::ForwardingOff => &counters.tx_forwarding_off,
        Error::FilterRejected => &counters.tx_filter_rejected,
        Error::NoReachableHost { .. } => &counters.tx_no_destination,
        Error::FilterNoDestination | Error::FilterChannel(_) | Error::NotUnicast(_) => {
            &counters.tx_filter_error
        }
        _ => &counters.tx_not_sent,
    };
    count(counter, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_lacks_a_packet_on_each_link_did_not_leave() {
        let copy = |message, host, link, refused: bool| MessageCopy {
            message,
            host,
            link,
            refused: refused.then_some(NotSent::QueueFull),
            left: !refused,
        };
        let message_copies = vec![
            copy(0, 0, 0, true),
            copy(0, 0, 1, false),
            copy(0, 1, 0, false),
            copy(0, 1, 1, false),
            copy(1, 0, 0, true),
            copy(1, 0, 1, true),
            copy(2, 0, 0, false),
        ];
        let mut plan = Plan { message_copies, ..Plan::default() };
        let counters = Counters::default();
        let messages = [&b"1"[..], b"22", b"333"].map(Message::uncompressed);
        settle(&mut plan, &mut Planner::default(), &Routes::default(), &messages, &counters);
        let stats = counters.read();
        assert_eq!((stats.tx_messages, stats.tx_bytes, stats.tx_queue_full), (2, 4, 1));
        assert!(plan.message_copies.is_empty());
    }
}
