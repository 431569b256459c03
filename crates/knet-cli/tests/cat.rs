//! Two and three `knet cat` processes that exchange messages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kronosnet::{
    ChannelRequest, DatafdSource, Error, Handle, HostId, LinkConfig, LinkId, PingTimers,
};
use nix::sys::signal::Signal;
use process::{Finished, Running, free_address, free_port, run, start, start_with};

/// Returns `--peer` for both ends of a link between host 1 and host 2.
fn link() -> [String; 2] {
    ends([1, 2], [free_address(), free_address()])
}

fn ends([one, two]: [u16; 2], [near, far]: [SocketAddr; 2]) -> [String; 2] {
    [format!("{two}:{near}={far}"), format!("{one}:{far}={near}")]
}

/// Starts hosts 1 and 2 with a link between them.
fn pair(one: &[&str], two: &[&str]) -> [Running; 2] {
    let peers = link();
    [("1", one), ("2", two)].map(|(id, more)| {
        let peer = peers[if id == "1" { 0 } else { 1 }].as_str();
        start(&[&["cat", "--id", id, "--peer", peer], more].concat())
    })
}

/// Runs hosts 1 and 2 to their end.
fn exchange(one: (&[&str], &[u8]), two: (&[&str], &[u8])) -> [Finished; 2] {
    let mut pair = pair(one.0, two.0);
    for (running, input) in pair.iter_mut().zip([one.1, two.1]) {
        running.feed_and_close(input.to_vec());
    }
    pair.map(Running::finish)
}

fn random(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Sends a file from host 1 to host 2 and compares it.
fn carry(file: &[u8], message_size: usize) {
    let size = message_size.to_string();
    let count = file.len().div_ceil(message_size).to_string();
    let [one, two] = exchange((&["--message-size", &size], file), (&["--recv", &count], b""));
    one.expect_success();
    two.expect_success();
    assert!(one.stdout.is_empty());
    // Not with `assert_eq!`, which would print megabytes.
    assert!(two.stdout == file, "{} bytes instead of {}", two.stdout.len(), file.len());
}

#[test]
fn a_file_arrives_unchanged_in_messages_of_8192_bytes() {
    carry(&random(4_000_001), 8192);
}

/// The kernel would choose 127.0.0.1, which the other host rejects.
#[test]
fn a_host_bound_to_all_addresses_is_heard_by_a_peer_that_knows_one_of_them() {
    let port = free_port(Ipv4Addr::UNSPECIFIED.into()).port();
    let (known, far) = (SocketAddr::new(free_address().ip(), port), free_address());
    let peers = [format!("2:0.0.0.0:{port}={far}"), format!("1:{far}={known}")];
    let mut one = start(&["cat", "--id", "1", "--peer", &peers[0]]);
    let two = start(&["cat", "--id", "2", "--recv", "1", "--peer", &peers[1]]);
    one.feed_and_close(b"hello".to_vec());
    one.finish().expect_success();
    let two = two.finish();
    two.expect_success();
    assert_eq!(two.stdout, b"hello");
}

#[test]
fn a_file_arrives_unchanged_in_messages_of_65536_bytes() {
    carry(&random(4_000_001), 65536);
}

#[test]
fn a_file_arrives_unchanged_in_short_messages() {
    carry(&random(20_001), 10);
}

/// Starts a host 1 with a dynamic link that accepts host 2 from a network, and a host 2.
fn with_a_dynamic_link(network: &str) -> [Running; 2] {
    let (near, far) = (free_address(), free_address());
    let peers = [format!("2:{near}={network}"), format!("1:{far}={near}")];
    [("1", &peers[0]), ("2", &peers[1])].map(|(id, peer)| {
        let flags = ["cat", "--id", id, "--peer", peer];
        start(&[&flags[..], &["--lines", "--recv", "1", "--wait", "60", "-v"]].concat())
    })
}

#[test]
fn the_address_of_a_peer_in_the_network_is_learned() {
    let [mut one, mut two] = with_a_dynamic_link("127.0.0.0/8");
    one.feed_and_close(b"from one\n".to_vec());
    two.feed_and_close(b"from two\n".to_vec());
    let [one, two] = [one, two].map(Running::finish);
    assert_eq!((one.code, two.code), (Some(0), Some(0)), "{}\n{}", one.stderr, two.stderr);
    assert_eq!((one.text(), two.text()), ("from two\n", "from one\n"));
}

#[test]
fn a_peer_outside_of_the_network_is_rejected() {
    let [mut one, _two] = with_a_dynamic_link("10.0.0.0/8");
    one.wait_for_error("the access list of link 0 of host 2 does not accept it");
}

#[test]
fn output_that_is_read_late_is_kept() {
    let file = random(12_000_000);
    let count = file.len().div_ceil(8192).to_string();
    let [mut one, mut two] = pair(&[], &["--recv", &count]);
    two.close_stdin();
    one.feed_and_close(file.clone());
    one.finish().expect_success();
    let two = two.finish();
    two.expect_success();
    assert!(two.stdout == file, "{} bytes instead of {}", two.stdout.len(), file.len());
}

#[test]
fn a_sender_ends_only_when_a_slow_receiver_has_everything() {
    let file = random(50_000);
    let (near, far) = (free_address(), free_address());
    let peers = ends([1, 2], [near, far]);
    let mut one = start(&["cat", "--id", "1", "--peer", &peers[0], "-v"]);
    let mut two = start(&["cat", "--id", "2", "--peer", &peers[1], "--recv", "7", "-v"]);
    two.close_stdin();
    two.wait_for_error("starting");
    one.wait_for_error("starting");
    two.stop();
    one.feed_and_close(file.clone());
    let deadline = Instant::now() + Duration::from_secs(60);
    while waiting_bytes(far) < file.len() {
        assert!(Instant::now() < deadline, "it does not arrive: {}", waiting_bytes(far));
        std::thread::yield_now();
    }
    // Everything waits in the receiver's socket, so the sender has to wait too.
    assert!(!one.ends_within(Duration::from_millis(300)));
    two.resume();
    let two = two.finish();
    assert_eq!(two.code, Some(0), "{}", two.stderr);
    assert!(two.stdout == file);
    assert_eq!(one.finish().code, Some(0));
}

/// A disabled link answers pings but sends none, so host 1 reaches host 2 long before the reverse.
#[test]
fn nothing_is_sent_before_the_receiver_has_found_us() {
    let near = free_address();
    let two = Handle::new(HostId::new(2)).unwrap();
    let end = two.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let peer = two.add_host(HostId::new(1)).unwrap();
    let config = LinkConfig::udp(end.addr(), near);
    let link = peer.add_link(LinkId::new(0).unwrap(), config).unwrap();
    let _ = two.datafd_events();
    let datafd = two.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    two.set_forwarding(true).unwrap();

    let path = format!("2:{near}={}", end.addr());
    let mut one = start(&["cat", "--id", "1", "--peer", &path, "--wait", "60", "-v"]);
    one.feed_and_close(b"hello".to_vec());
    one.wait_for_error("host 2 is reachable");
    assert!(!one.ends_within(Duration::from_millis(300)), "it sent before the peer was ready");

    let interval = Duration::from_millis(50);
    link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
    link.enable().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut buffer = [0; 100];
    let length = loop {
        match datafd.recv(&mut buffer) {
            Err(Error::WouldBlock(_)) if Instant::now() < deadline => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    assert_eq!(&buffer[..length], b"hello");
    assert_eq!(one.finish().code, Some(0));
}

/// Returns how many bytes wait in the UDP socket of this IPv4 address, see proc_net(5).
fn waiting_bytes(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else { panic!("not IPv4: {address}") };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port());
    let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
    let socket = sockets.lines().find(|line| line.contains(&local));
    let queues = socket.and_then(|line| line.split_whitespace().nth(4));
    let received = queues.and_then(|queues| queues.split_once(':')).map_or("0", |queues| queues.1);
    usize::from_str_radix(received, 16).unwrap()
}

#[test]
fn lines_go_both_ways_and_keep_their_ends() {
    let [one, two] = exchange(
        (&["--lines", "--recv", "2"], b"first\n\nlast"),
        (&["--lines", "--recv", "3"], b"hello\r\nworld\n"),
    );
    one.expect_success();
    two.expect_success();
    assert_eq!(one.text(), "hello\r\nworld\n");
    assert_eq!(two.text(), "first\n\nlast\n");
}

#[test]
fn the_longest_line_arrives_and_a_longer_one_is_rejected() {
    let mut input = vec![b'x'; 65536];
    input.push(b'\n');
    let [one, two] = exchange((&["--lines"], &input), (&["--lines", "--recv", "1"], b""));
    one.expect_success();
    assert!(two.stdout == input);

    input.insert(0, b'y');
    input.splice(0..0, *b"short\n");
    let [one, two] = exchange((&["--lines"], &input), (&["--lines", "--recv", "1"], b""));
    assert!(one.expect_failure(2).contains("line 2"), "{}", one.stderr);
    assert_eq!(two.text(), "short\n", "the line before it was sent");
}

#[test]
fn ipv6_and_other_channels_work() {
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let peers = ends([1, 2], [free_port(loopback), free_port(loopback)]);
    let more = ["--lines", "--channel", "31", "--recv", "1"];
    let mut hosts = [("1", &peers[0]), ("2", &peers[1])]
        .map(|(id, peer)| start(&[&["cat", "--id", id, "--peer", peer][..], &more].concat()));
    hosts[0].feed_and_close(b"one".to_vec());
    hosts[1].feed_and_close(b"two".to_vec());
    let [one, two] = hosts.map(Running::finish);
    one.expect_success();
    two.expect_success();
    assert_eq!([one.text(), two.text()], ["two\n", "one\n"]);
}

#[test]
fn repeating_a_host_adds_its_next_link() {
    let links = [link(), link()];
    let mut hosts = ["1", "2"].map(|id| {
        let end = if id == "1" { 0 } else { 1 };
        let [first, second] = [&links[0][end], &links[1][end]];
        start(&["cat", "--id", id, "--peer", first, "--peer", second, "--lines", "-v"])
    });
    for host in &mut hosts {
        host.wait_for_error("link 1 to host");
    }
    hosts[0].feed(b"over one of two\n");
    hosts[1].wait_for_output("over one of two");
    for host in hosts {
        let finished = host.finish();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
}

#[test]
fn messages_are_sent_to_the_selected_hosts() {
    let address = std::array::from_fn::<_, 6, _>(|_| free_address());
    let [one_two, two_one] = ends([1, 2], [address[0], address[1]]);
    let [two_three, three_two] = ends([2, 3], [address[2], address[3]]);
    let [one_three, three_one] = ends([1, 3], [address[4], address[5]]);
    let host = |id, peers: [&str; 2], more: &[&str]| {
        start(&[&["cat", "--id", id, "--lines", "--peer", peers[0], peers[1]], more].concat())
    };
    let mut one = host("1", [&one_two, &one_three], &["--to", "2"]);
    let mut two = host("2", [&two_one, &two_three], &[]);
    let mut three = host("3", [&three_one, &three_two], &["--recv", "1"]);
    one.feed(b"for host 2\n");
    two.wait_for_output("for host 2");
    // Host 3 would have received the first message by now.
    two.feed(b"for all\n");
    three.close_stdin();
    let three = three.finish();
    three.expect_success();
    assert_eq!(three.text(), "for all\n");
    one.wait_for_output("for all");
    one.finish().expect_success();
    two.finish().expect_success();
}

#[test]
fn an_unreachable_peer_is_reported_with_each_link_and_its_reason() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = format!("2:{}={}", free_address(), free_address());
    let unanswered = format!("2:{}={}", free_address(), silent.local_addr().unwrap());
    let args = ["cat", "--id", "1", "--wait", "0.5", "--peer", &refused, &unanswered];
    let finished = run(&args, b"never sent");
    let line = finished.expect_failure(3);
    assert!(line.contains("host 2 is not reachable"), "{line}");
    assert!(line.contains("link 0 is down: Connection refused"), "{line}");
    assert!(line.contains("link 1 is down: not enough pongs yet"), "{line}");
}

#[test]
fn a_lost_peer_is_waited_for_and_then_reported() {
    let [mut one, two] = pair(&["--lines", "--wait", "0.5", "-v"], &[]);
    one.wait_for_error("host 2 is reachable");
    two.signal(Signal::SIGKILL);
    one.wait_for_error("host 2 is not reachable");
    one.feed(b"anybody there?\n");
    let finished = one.finish();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.contains("host 2 is not reachable: link 0 is down"), "{last}");
}

#[test]
fn a_sender_that_is_gone_ends_the_wait_for_its_messages() {
    for killed in [false, true] {
        let [mut one, mut two] = pair(&["--lines"], &["--lines", "--recv", "2", "--wait", "1"]);
        two.close_stdin();
        one.feed(b"the only one\n");
        two.wait_for_output("the only one");
        if killed {
            one.signal(Signal::SIGKILL);
        } else {
            one.finish().expect_success();
        }
        let line = "host 1 was lost; 1 of 2 messages received";
        assert_eq!(two.finish().expect_failure(3), line, "killed: {killed}");
    }
}

#[test]
fn a_receiver_that_is_lost_fails_the_sender() {
    let (near, far) = (free_address(), free_address());
    let peers = ends([1, 2], [near, far]);
    let mut one = start(&["cat", "--id", "1", "--peer", &peers[0], "-v", "--wait", "1"]);
    let mut two = start(&["cat", "--id", "2", "--peer", &peers[1], "--recv", "1", "-v"]);
    two.close_stdin();
    one.wait_for_error("starting");
    two.wait_for_error("starting");
    two.stop();
    one.feed_and_close(b"it reads this never".to_vec());
    let deadline = Instant::now() + Duration::from_secs(60);
    while waiting_bytes(far) == 0 {
        assert!(Instant::now() < deadline, "it does not arrive");
        std::thread::yield_now();
    }
    two.signal(Signal::SIGKILL);
    let one = one.finish();
    assert_eq!(one.code, Some(3), "{}", one.stderr);
    let line = one.stderr.lines().last().unwrap();
    assert_eq!(line, "knet: host 2 was lost; 0 of 1 messages received");
}

#[test]
fn a_receiver_that_has_enough_is_no_failure_of_the_sender() {
    let [mut one, mut two] = pair(&["--lines"], &["--lines", "--recv", "1"]);
    two.close_stdin();
    one.feed(b"enough\n");
    two.finish().expect_success();
    one.finish().expect_success();
}

/// Starts hosts 1 and 3, which send to host 2, and host 2.
fn two_senders(two: &[&str]) -> [Running; 3] {
    let address = std::array::from_fn::<_, 4, _>(|_| free_address());
    let [one_two, two_one] = ends([1, 2], [address[0], address[1]]);
    let [three_two, two_three] = ends([3, 2], [address[2], address[3]]);
    let two = [&["cat", "--id", "2", "--lines", "--peer", &two_one, &two_three], two].concat();
    let sender = |id, peer: &str| start(&["cat", "--id", id, "--lines", "--peer", peer]);
    [sender("1", &one_two), start(&two), sender("3", &three_two)]
}

#[test]
fn the_messages_of_two_senders_all_arrive() {
    let [mut one, mut two, mut three] = two_senders(&["--recv", "40000"]);
    two.close_stdin();
    let lines = |name: &str| (0..20_000).map(|n| format!("{name} {n}\n")).collect::<String>();
    one.feed_and_close(lines("one").into_bytes());
    three.feed_and_close(lines("three").into_bytes());
    one.finish().expect_success();
    three.finish().expect_success();
    let two = two.finish();
    two.expect_success();
    for name in ["one", "three"] {
        let received = two.text().split_inclusive('\n').filter(|line| line.starts_with(name));
        assert!(received.collect::<String>() == lines(name), "in order from {name}");
    }
}

#[test]
fn one_sender_may_be_lost_while_another_goes_on() {
    let [mut one, mut two, mut three] = two_senders(&["--recv", "2", "--wait", "1", "-v"]);
    two.close_stdin();
    one.feed(b"the first\n");
    two.wait_for_output("the first");
    one.signal(Signal::SIGKILL);
    two.wait_for_error("host 1 is not reachable");
    // Longer than it waits for peers of which all are lost.
    assert!(!two.ends_within(Duration::from_millis(1500)));
    three.feed_and_close(b"the second\n".to_vec());
    let two = two.finish();
    assert_eq!(two.code, Some(0), "{}", two.stderr);
    assert_eq!(two.text(), "the first\nthe second\n");
}

/// More than the receiver keeps in memory, so the sender has to wait for its reader.
#[test]
fn a_reader_that_pauses_makes_the_sender_wait() {
    let file = vec![b'x'; 80_000_000];
    let count = file.len().div_ceil(65536).to_string();
    let [mut one, mut two] = pair(&["--message-size", "65536"], &["--recv", &count]);
    two.close_stdin();
    one.feed_and_close(file.clone());
    assert!(!one.ends_within(Duration::from_secs(4)), "it has not waited");
    let two = two.finish();
    two.expect_success();
    assert!(two.stdout == file, "{} bytes instead of {}", two.stdout.len(), file.len());
    one.finish().expect_success();
}

#[test]
fn an_address_in_use_is_a_failure() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = format!("2:{}={}", taken.local_addr().unwrap(), free_address());
    let finished = run(&["cat", "--id", "1", "--peer", &peer], b"");
    assert!(finished.expect_failure(1).contains("in use"), "{}", finished.stderr);
}

#[test]
fn a_signal_ends_it_before_its_job_is_done() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let [mut one, mut two] = pair(&["--lines"], &["--lines", "--recv", "2"]);
        one.feed(b"hello\n");
        two.wait_for_output("hello");
        two.close_stdin();
        // Each waits for something: a second message, and more input.
        two.signal(signal);
        let finished = two.finish_with_open_input();
        assert!(finished.expect_end_by(signal).starts_with("interrupted before "));
        one.signal(signal);
        let line = "interrupted before the input ended";
        assert_eq!(one.finish_with_open_input().expect_end_by(signal), line);
    }
}

#[test]
fn a_signal_ends_it_in_the_middle_of_sending() {
    let zeros = || Stdio::from(File::open("/dev/zero").unwrap());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let peers = link();
        let one = ["cat", "--id", "1", "--peer", &peers[0]];
        let one = start_with(&one, zeros(), Stdio::piped());
        let mut two = start(&["cat", "--id", "2", "--peer", &peers[1], "--lines"]);
        two.wait_for_output("\0");
        one.signal(signal);
        one.finish_with_open_input().expect_end_by(signal);
    }
}

#[test]
fn a_signal_ends_the_wait_for_peers() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let peer = format!("2:{}={}", free_address(), silent.local_addr().unwrap());
    let running = start(&["cat", "--id", "1", "--wait", "3600", "--peer", &peer]);
    // It is running once it pings.
    silent.recv(&mut [0; 2000]).unwrap();
    running.signal(Signal::SIGTERM);
    let finished = running.finish_with_open_input();
    let line = finished.expect_end_by(Signal::SIGTERM);
    assert_eq!(line, "interrupted before every peer was reachable");
}

#[test]
fn a_receiver_whose_output_is_closed_ends() {
    let [one, mut two] = pair(&[], &["--recv", "5"]);
    two.close_stdin();
    two.close_stdout();
    assert_eq!(two.finish().expect_end_by(Signal::SIGPIPE), "");
    drop(one);
}

#[test]
fn a_message_into_a_closed_output_ends_it() {
    let [mut one, mut two] = pair(&["--lines"], &["--lines"]);
    two.close_stdout();
    one.feed(b"nobody reads this\n");
    assert_eq!(two.finish_with_open_input().expect_end_by(Signal::SIGPIPE), "");
    drop(one);
}

#[test]
fn a_sender_ignores_a_closed_output() {
    let [mut one, mut two] = pair(&["--lines"], &["--lines", "--recv", "1"]);
    one.close_stdout();
    two.close_stdin();
    one.feed_and_close(b"all the same\n".to_vec());
    one.finish().expect_success();
    let two = two.finish();
    two.expect_success();
    assert_eq!(two.text(), "all the same\n");
}
