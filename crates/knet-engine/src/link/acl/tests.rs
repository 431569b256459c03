//! Examples, and random sequences of changes compared with a list that compares byte by byte.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn list(entries: &[AclEntry]) -> AccessList {
    let mut list = AccessList::default();
    for &entry in entries {
        list.insert(usize::MAX, entry).unwrap();
    }
    list
}

#[test]
fn the_first_match_decides_and_no_match_rejects() {
    use AclAction::{Accept, Reject};
    let list = list(&[
        AclEntry::address(Accept, ip("10.0.0.5")),
        AclEntry::range(Reject, ip("10.0.0.3"), ip("10.0.0.8")).unwrap(),
        AclEntry::mask(Accept, ip("10.0.0.0"), ip("255.255.255.0")).unwrap(),
    ]);
    for (address, accepted) in [
        ("10.0.0.5", true),
        ("10.0.0.2", true),
        ("10.0.0.3", false),
        ("10.0.0.8", false),
        ("10.0.0.9", true),
        ("10.0.1.0", false),
        // The same 32 bits, in the other family.
        ("a00:5::", false),
        ("::10.0.0.5", false),
    ] {
        assert_eq!(list.accepts(ip(address)), accepted, "{address}");
    }
    assert!(!AccessList::default().accepts(ip("10.0.0.5")));
}

#[test]
fn ipv6_addresses_are_numbers_of_128_bits() {
    use AclAction::Accept;
    let range = AclEntry::range(Accept, ip("fd00::ffff"), ip("fd00:0:0:1::")).unwrap();
    let net = AclEntry::mask(Accept, ip("fd00:1::"), ip("ffff:ffff::")).unwrap();
    let list = list(&[range, net]);
    for (address, accepted) in [
        ("fd00::fffe", false),
        ("fd00::ffff", true),
        ("fd00::1:0", true),
        ("fd00:0:0:1::", true),
        ("fd00:0:0:1::1", false),
        ("fd00:1:2::3", true),
        ("fd00:2::", false),
    ] {
        assert_eq!(list.accepts(ip(address)), accepted, "{address}");
    }
}

#[test]
fn entries_that_could_match_nothing_are_refused() {
    use AclAction::Accept;
    let (four, six) = (ip("10.0.0.1"), ip("fd00::1"));
    let mixed = Err(AclEntryError::MixedFamilies { one: four, two: six });
    assert_eq!(AclEntry::range(Accept, four, six), mixed);
    assert_eq!(AclEntry::mask(Accept, four, six), mixed);
    let mask = ip("255.255.255.0");
    let outside = AclEntryError::OutsideMask { network: four, mask };
    assert_eq!(AclEntry::mask(Accept, four, mask), Err(outside));
    let (first, last) = (ip("10.0.0.2"), ip("10.0.0.1"));
    let empty = AclEntryError::EmptyRange { first, last };
    assert_eq!(AclEntry::range(Accept, first, last), Err(empty));
    for error in [outside, empty, AclEntryError::MixedFamilies { one: four, two: six }] {
        assert_eq!(error.errno(), 22, "{error}");
    }
}

/// Addresses from a few, so that they hit each other.
fn address() -> impl Strategy<Value = IpAddr> {
    let byte = || prop_oneof![Just(0u8), Just(1), Just(127), Just(128), Just(255)];
    let four = [byte(), byte(), byte(), byte()].prop_map(IpAddr::from);
    let six = (byte(), byte(), byte()).prop_map(|(a, b, c)| {
        let mut bytes = [0; 16];
        (bytes[0], bytes[7], bytes[15]) = (a, b, c);
        IpAddr::from(bytes)
    });
    prop_oneof![four, six]
}

fn entry() -> impl Strategy<Value = AclEntry> {
    let action = prop_oneof![Just(AclAction::Accept), Just(AclAction::Reject)];
    (action, 0..3, address(), address()).prop_map(|(action, kind, one, two)| {
        let two_numbers = match kind {
            0 => Err(AclEntryError::EmptyRange { first: one, last: two }),
            1 => AclEntry::mask(action, one, two),
            _ => AclEntry::range(action, one, two),
        };
        two_numbers.unwrap_or(AclEntry::address(action, one))
    })
}

#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, AclEntry),
    Remove(AclEntry),
    RemoveAt(usize),
    Clear,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (0..12usize, entry()).prop_map(|(at, entry)| Edit::Insert(at, entry)),
        2 => entry().prop_map(Edit::Remove),
        3 => (0..12usize).prop_map(Edit::RemoveAt),
        1 => Just(Edit::Clear),
    ]
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What an entry decides for an address, computed byte by byte.
fn says(entry: &AclEntry, source: IpAddr) -> Option<bool> {
    let source = bytes(source);
    let hit = match entry.addresses {
        Addresses::One(address) => bytes(address) == source,
        Addresses::Mask { network, mask } => {
            let (network, mask) = (bytes(network), bytes(mask));
            network.len() == source.len()
                && (0..source.len()).all(|at| source[at] & mask[at] == network[at])
        }
        Addresses::Range { first, last } => {
            let (first, last) = (bytes(first), bytes(last));
            first.len() == source.len() && first <= source && source <= last
        }
    };
    hit.then_some(entry.action == AclAction::Accept)
}

proptest! {
    #[test]
    fn any_edits_leave_what_a_plain_list_would_have(
        edits in prop::collection::vec(edit(), 0..40),
        sources in prop::collection::vec(address(), 20),
    ) {
        let (mut list, mut model) = (AccessList::default(), Vec::<AclEntry>::new());
        for edit in edits {
            match edit {
                Edit::Insert(at, entry) => {
                    let listed = model.contains(&entry);
                    let answer = list.insert(at, entry);
                    prop_assert_eq!(answer, if listed { Err(AclError::Listed(entry)) } else { Ok(()) });
                    if !listed {
                        let rest = model.split_off(at.min(model.len()));
                        model.push(entry);
                        model.extend(rest);
                    }
                }
                Edit::Remove(entry) => {
                    let listed = model.contains(&entry);
                    let answer = list.remove(entry);
                    let missing = Err(AclError::NotListed(entry));
                    prop_assert_eq!(answer, if listed { Ok(()) } else { missing });
                    model.retain(|other| *other != entry);
                }
                Edit::RemoveAt(at) => {
                    if let Some(&entry) = model.get(at) {
                        prop_assert_eq!(list.remove(entry), Ok(()));
                        model.remove(at);
                    }
                }
                Edit::Clear => {
                    list.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(list.entries(), &model[..]);
            for &source in &sources {
                let accepted = model.iter().find_map(|entry| says(entry, source)).unwrap_or(false);
                prop_assert_eq!(list.accepts(source), accepted, "{}", source);
            }
        }
    }
}
