//! Random sequences of operations, compared with a model made of `std` collections.

use std::collections::{BTreeMap, BTreeSet};

use knet_channel::{
    AllocateError, Channel, ChannelAllocator, ChannelMap, ChannelRequest, ChannelSet,
};
use proptest::{collection::vec, prelude::*};

const STEPS: std::ops::Range<usize> = 0..200;

fn channel() -> impl Strategy<Value = Channel> {
    (0..Channel::COUNT).prop_map(|index| Channel::ALL[index])
}

#[derive(Clone, Debug)]
enum Allocation {
    Allocate(ChannelRequest),
    Release(Channel),
}

fn allocation() -> impl Strategy<Value = Allocation> {
    // More requests for any channel than releases, so that the allocator is often full.
    prop_oneof![
        3 => Just(Allocation::Allocate(ChannelRequest::Any)),
        1 => channel().prop_map(|channel| Allocation::Allocate(channel.into())),
        2 => channel().prop_map(Allocation::Release),
    ]
}

/// Returns the result that the allocator must give for `request`.
fn expected(taken: &BTreeSet<Channel>, request: ChannelRequest) -> Result<Channel, AllocateError> {
    match request {
        ChannelRequest::Any => Channel::ALL
            .into_iter()
            .find(|channel| !taken.contains(channel))
            .ok_or(AllocateError::Exhausted),
        ChannelRequest::Exact(channel) if taken.contains(&channel) => {
            Err(AllocateError::InUse(channel))
        }
        ChannelRequest::Exact(channel) => Ok(channel),
    }
}

#[derive(Clone, Debug)]
enum MapStep {
    Insert(Channel, u32),
    Remove(Channel),
    Add(Channel, u32),
    AddToAll(u32),
    AddOrInsert(Channel, u32),
    RetainAbove(u32),
    Extend(Vec<(Channel, u32)>),
    Clear,
}

fn map_step() -> impl Strategy<Value = MapStep> {
    prop_oneof![
        (channel(), any::<u32>()).prop_map(|(channel, value)| MapStep::Insert(channel, value)),
        channel().prop_map(MapStep::Remove),
        (channel(), any::<u32>()).prop_map(|(channel, value)| MapStep::Add(channel, value)),
        any::<u32>().prop_map(MapStep::AddToAll),
        (channel(), any::<u32>()).prop_map(|(channel, value)| MapStep::AddOrInsert(channel, value)),
        (0..u32::MAX / 2).prop_map(MapStep::RetainAbove),
        vec((channel(), any::<u32>()), 0..40).prop_map(MapStep::Extend),
        Just(MapStep::Clear),
    ]
}

/// Checks that two iterators return the same from both ends, and as many as they announce.
fn same<T: std::fmt::Debug + PartialEq>(
    mut real: impl DoubleEndedIterator<Item = T> + ExactSizeIterator,
    mut model: impl DoubleEndedIterator<Item = T> + ExactSizeIterator,
    from_front: &[bool],
) -> Result<(), TestCaseError> {
    for &front in from_front {
        prop_assert_eq!(real.len(), model.len());
        if front {
            prop_assert_eq!(real.next(), model.next());
        } else {
            prop_assert_eq!(real.next_back(), model.next_back());
        }
    }
    prop_assert!(real.eq(model));
    Ok(())
}

proptest! {
    #[test]
    fn the_allocator_behaves_like_its_model(steps in vec(allocation(), STEPS)) {
        let mut real = ChannelAllocator::new();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Allocation::Allocate(request) => {
                    let answer = real.allocate(request);
                    prop_assert_eq!(answer, expected(&model, request));
                    model.extend(answer);
                }
                Allocation::Release(channel) => {
                    prop_assert_eq!(real.release(channel), model.remove(&channel));
                }
            }
            prop_assert!(real.in_use().iter().eq(model.iter().copied()));
        }
    }

    #[test]
    fn the_set_behaves_like_its_model(steps in vec((any::<bool>(), channel()), STEPS)) {
        let mut real = ChannelSet::EMPTY;
        let mut model = BTreeSet::new();
        for (insert, channel) in steps {
            if insert {
                prop_assert_eq!(real.insert(channel), model.insert(channel));
            } else {
                prop_assert_eq!(real.remove(channel), model.remove(&channel));
            }
            prop_assert!(real.iter().eq(model.iter().copied()), "ascending and complete");
            prop_assert_eq!(real.iter().len(), model.len());
            prop_assert_eq!(real.len(), model.len());
            prop_assert_eq!(real.is_empty(), model.is_empty());
            for channel in Channel::ALL {
                prop_assert_eq!(real.contains(channel), model.contains(&channel));
            }
            let free = Channel::ALL.into_iter().find(|channel| !model.contains(channel));
            prop_assert_eq!(real.lowest_free(), free);
            prop_assert_eq!(model.iter().copied().collect::<ChannelSet>(), real);
            prop_assert_eq!(ChannelSet::from_bits(real.bits()), real);
        }
    }

    /// Takes items from both ends of each iterator, as the bits say.
    #[test]
    fn the_iterators_behave_like_those_of_the_model(
        pairs in vec((channel(), any::<u32>()), 0..40),
        from_front in vec(any::<bool>(), 0..40),
    ) {
        let mut real: ChannelMap<_> = pairs.iter().copied().collect();
        let mut model: BTreeMap<_, _> = pairs.into_iter().collect();
        let set = real.channels();
        let owned = |(channel, value): (&Channel, &u32)| (*channel, *value);
        same(real.iter(), model.iter().map(|(channel, value)| (*channel, value)), &from_front)?;
        same((&real).into_iter().map(|it| *it.1), model.values().copied(), &from_front)?;
        same(real.values(), model.values(), &from_front)?;
        same(real.clone().into_iter(), model.iter().map(owned), &from_front)?;
        same(real.clone().into_values(), model.values().copied(), &from_front)?;
        same(set.iter(), model.keys().copied(), &from_front)?;
        same((&set).into_iter(), model.keys().copied(), &from_front)?;
        let model_mut = model.iter_mut().map(|(channel, value)| (*channel, value));
        same(real.iter_mut(), model_mut, &from_front)?;
        same(real.values_mut(), model.values_mut(), &from_front)?;
        prop_assert_eq!(set.first(), model.keys().next().copied());
        prop_assert_eq!(set.last(), model.keys().next_back().copied());
    }

    #[test]
    fn sets_relate_like_those_of_the_model(a in any::<u32>(), b in any::<u32>(), both in any::<u32>()) {
        // Some of them are subsets of others, which random sets never are.
        for (a, b) in [(a, b), (a & both, both), (both, a | both), (a & !both, both), (a, a)] {
            let [a, b] = [a, b].map(ChannelSet::from_bits);
            let [in_a, in_b] = [a, b].map(|set| set.iter().collect::<BTreeSet<_>>());
            prop_assert_eq!(a.is_subset(b), in_a.is_subset(&in_b));
            prop_assert_eq!(a.is_superset(b), in_a.is_superset(&in_b));
            prop_assert_eq!(a.is_disjoint(b), in_a.is_disjoint(&in_b));
            prop_assert!((a ^ b).iter().eq((&in_a ^ &in_b).iter().copied()));
            let mut changed = [a; 5];
            changed[0] |= b;
            changed[1] &= b;
            changed[2] -= b;
            changed[3] ^= b;
            changed[4].retain(|channel| b.contains(channel));
            prop_assert_eq!(changed, [a | b, a & b, a - b, a ^ b, a & b]);
        }
    }

    #[test]
    fn set_operators_agree_with_membership(a in any::<u32>(), b in any::<u32>()) {
        let (a, b) = (ChannelSet::from_bits(a), ChannelSet::from_bits(b));
        for channel in Channel::ALL {
            let (in_a, in_b) = (a.contains(channel), b.contains(channel));
            prop_assert_eq!((a | b).contains(channel), in_a || in_b);
            prop_assert_eq!((a & b).contains(channel), in_a && in_b);
            prop_assert_eq!((a - b).contains(channel), in_a && !in_b);
            prop_assert_eq!((!a).contains(channel), !in_a);
        }
    }

    #[test]
    fn the_map_behaves_like_its_model(steps in vec(map_step(), STEPS)) {
        let mut real = ChannelMap::new();
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                MapStep::Insert(channel, value) => {
                    prop_assert_eq!(real.insert(channel, value), model.insert(channel, value));
                }
                MapStep::Remove(channel) => {
                    prop_assert_eq!(real.remove(channel), model.remove(&channel));
                }
                MapStep::Add(channel, value) => {
                    let places = [real.get_mut(channel), model.get_mut(&channel)];
                    for found in places.into_iter().flatten() {
                        *found = found.wrapping_add(value);
                    }
                }
                MapStep::AddToAll(value) => {
                    real.iter_mut().for_each(|(_, found)| *found = found.wrapping_add(value));
                    model.iter_mut().for_each(|(_, found)| *found = found.wrapping_add(value));
                }
                MapStep::AddOrInsert(channel, value) => {
                    let add = |found: &mut u32| *found = found.wrapping_add(value);
                    let real = *real.entry(channel).and_modify(add).or_insert(value);
                    let model = *model.entry(channel).and_modify(add).or_insert(value);
                    prop_assert_eq!(real, model);
                }
                MapStep::RetainAbove(value) => {
                    real.retain(|channel, found| *found > value || channel.get() == 7);
                    model.retain(|channel, found| *found > value || channel.get() == 7);
                }
                MapStep::Extend(pairs) => {
                    real.extend(pairs.iter().map(|(channel, value)| (*channel, value)));
                    model.extend(pairs);
                }
                MapStep::Clear => {
                    real.clear();
                    model.clear();
                }
            }
            prop_assert!(real.iter().eq(model.iter().map(|(channel, value)| (*channel, value))));
            prop_assert!(real.values().eq(model.values()));
            prop_assert!(real.channels().iter().eq(model.keys().copied()));
            prop_assert_eq!(real.len(), model.len());
            prop_assert_eq!(real.is_empty(), model.is_empty());
            for channel in Channel::ALL {
                prop_assert_eq!(real.get(channel), model.get(&channel));
                prop_assert_eq!(real.contains_key(channel), model.contains_key(&channel));
            }
            let copy: ChannelMap<_> = model.iter().map(|(channel, value)| (*channel, *value)).collect();
            prop_assert_eq!(&copy, &real);
        }
    }
}
