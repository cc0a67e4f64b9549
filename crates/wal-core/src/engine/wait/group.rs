//! Commit groups: threads that wait for the same commit, woken all at once.
//!
//! Waking sixty threads one by one takes longer than the sync that they waited for. So all threads whose records
//! the next commit covers, its *group*, sleep on one word, and one call wakes them. They learn from the word what
//! became of them and do not take the log's lock again. Of the group that gathers while a commit is in flight,
//! one thread leads the next one.
//!
//! Commits are numbered. At most two groups are of interest, the one in flight and the one that gathers, so there
//! are two words, for even and for odd numbers. Which thread belongs to which commit is counted under the short
//! lock, in [`Membership`]; the words, [`CommitGroups`], need no lock.
//!
//! A member acknowledges only what the durable position covers: a mistake in counting could delay, but not
//! acknowledge what is not durable. RocksDB and raft-engine have write groups of the same shape.

use super::slot::Outcome;
use crate::Lsn;
use crate::sync::Signal;

/// The number of a commit. Only equality counts, so that it may wrap around; the two highest bits are
/// lost in a word.
pub(crate) type CommitNumber = u32;

/// What a word says while its group waits.
const fn waiting(commit: CommitNumber) -> u32 {
    commit << 2
}

/// One of the group is to lead; the first that sees this does.
const fn lead(commit: CommitNumber) -> u32 {
    waiting(commit) | 1
}

/// There will be no more commits: the log failed, or was closed. A word stays like this.
const FAILED: u32 = 2;
const CLOSED: u32 = 3;

const fn is_final(word: u32) -> bool {
    word == FAILED || word == CLOSED
}

/// The words on which groups sleep.
pub(crate) struct CommitGroups([Signal; 2]);

impl CommitGroups {
    pub(crate) fn new() -> Self {
        CommitGroups([Signal::new(waiting(0)), Signal::new(waiting(1))])
    }

    fn word(&self, commit: CommitNumber) -> &Signal {
        &self.0[(commit & 1) as usize]
    }

    /// Sleeps until something is decided about this commit, or until this thread is to lead it.
    pub(crate) fn wait(&self, commit: CommitNumber) -> Outcome {
        let word = self.word(commit);
        loop {
            match word.load() {
                now if now == waiting(commit) => word.wait(now),
                now if now == lead(commit) => {
                    if word.exchange(now, waiting(commit)) {
                        return Outcome::Lead;
                    }
                }
                FAILED => return Outcome::Failed,
                _ => return Outcome::Done,
            }
        }
    }

    /// Makes one thread of the gathering group lead the commit.
    pub(crate) fn appoint(&self, commit: CommitNumber) {
        let word = self.word(commit);
        // If there are to be no more commits, nobody leads one.
        if word.exchange(waiting(commit), lead(commit)) {
            word.wake_one();
        }
    }

    /// From now on threads may join this commit, and nobody waits for the one of the same parity before.
    /// Called under the short lock. The group that waited is yet to be [woken](Self::wake).
    fn open(&self, commit: CommitNumber) {
        let word = self.word(commit);
        if !is_final(word.load()) {
            word.store(waiting(commit));
        }
    }

    /// Wakes those who waited for a commit that is done.
    pub(crate) fn wake(&self, commit: CommitNumber) {
        self.word(commit).wake_all();
    }

    /// There will be no more commits: everybody goes on. Called under the short lock.
    pub(crate) fn end(&self, failed: bool) {
        for word in &self.0 {
            if !is_final(word.load()) {
                word.store(if failed { FAILED } else { CLOSED });
            }
            word.wake_all();
        }
    }
}

/// Which commits threads wait for. Under the short lock.
#[derive(Default)]
pub(super) struct Membership {
    /// The commit that gathers, how many threads wait for it, and up to which record.
    next: CommitNumber,
    gathered: u64,
    upto: Lsn,
    /// Whether one of them was chosen to lead it.
    appointed: bool,
    /// The commit in flight, and how many threads wait for it.
    in_flight: Option<CommitNumber>,
    covered: u64,
}

impl Membership {
    /// Joins those who wait for the next commit.
    pub(super) fn join_next(&mut self, lsn: Lsn) -> CommitNumber {
        self.gathered += 1;
        self.upto = self.upto.max(lsn);
        self.next
    }

    /// Joins those who wait for the commit in flight, if there is one.
    pub(super) fn join_in_flight(&mut self) -> Option<CommitNumber> {
        self.covered += u64::from(self.in_flight.is_some());
        self.in_flight
    }

    /// A commit begins: what gathered is in flight.
    pub(super) fn begin(&mut self, groups: &CommitGroups) {
        assert!(self.in_flight.is_none(), "one commit is in flight at a time");
        self.appointed = false;
        self.in_flight = Some(self.next);
        self.covered = std::mem::take(&mut self.gathered);
        self.next = self.next.wrapping_add(1);
        groups.open(self.next);
    }

    /// The commit in flight is done: which, if a thread is to be woken for it.
    pub(super) fn complete(&mut self, groups: &CommitGroups) -> Option<CommitNumber> {
        let commit = self.in_flight.take()?;
        let awaited = std::mem::take(&mut self.covered) > 0;
        groups.open(commit.wrapping_add(2));
        awaited.then_some(commit)
    }

    /// Something else than a commit, a rotation, made all records durable that the gathering threads
    /// wait for: which commit they think of.
    pub(super) fn overtaken(
        &mut self,
        durable: Lsn,
        groups: &CommitGroups,
    ) -> Option<CommitNumber> {
        // One who is about to lead must find the commit that it is to lead.
        if self.gathered == 0 || durable < self.upto || self.appointed {
            return None;
        }
        let commit = self.next;
        self.gathered = 0;
        // Of the same parity: the other word may belong to a commit in flight.
        self.next = commit.wrapping_add(2);
        groups.open(self.next);
        Some(commit)
    }

    /// Whether a thread waits for the next commit.
    pub(super) fn is_awaited(&self) -> bool {
        self.gathered > 0
    }

    /// Chooses the group that gathers to lead its commit, if there is one; it is yet to be
    /// [appointed](CommitGroups::appoint).
    pub(super) fn choose(&mut self) -> Option<CommitNumber> {
        self.appointed = self.gathered > 0;
        self.appointed.then_some(self.next)
    }

    /// How many threads wait for the next commit.
    pub(super) fn gathered(&self) -> u64 {
        self.gathered
    }

    /// How many threads wait for the commit in flight.
    pub(super) fn covered(&self) -> u64 {
        self.covered
    }

    /// How many threads wait.
    pub(super) fn waiting(&self) -> u64 {
        self.gathered + self.covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread would find that waits for `commit`.
    fn fate(groups: &CommitGroups, commit: CommitNumber) -> Option<Outcome> {
        let asleep = groups.word(commit).load() == waiting(commit);
        (!asleep).then(|| groups.wait(commit))
    }

    #[test]
    fn a_group_sleeps_until_its_own_commit_is_complete() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        let mut in_flight = None;
        for _ in 0..9 {
            let next = members.join_next(Lsn::new(1));
            members.begin(&groups);
            assert_eq!(members.join_in_flight(), Some(next));
            let later = members.join_next(Lsn::new(2));
            assert_eq!((fate(&groups, next), fate(&groups, later)), (None, None));
            assert_eq!(members.waiting(), 3 + in_flight.map_or(0, |_| 1));
            assert_eq!(members.complete(&groups), Some(next));
            assert_eq!(fate(&groups, next), Some(Outcome::Done));
            assert_eq!(fate(&groups, later), None);
            in_flight = Some(later);
        }
    }

    #[test]
    fn nobody_is_to_be_woken_for_a_commit_for_which_nobody_waits() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        members.begin(&groups);
        assert_eq!(members.complete(&groups), None);
        assert_eq!(members.complete(&groups), None, "none is in flight");
        members.begin(&groups);
        let joined = members.join_in_flight();
        assert_eq!((members.complete(&groups), joined.is_some()), (joined, true));
    }

    #[test]
    fn one_thread_is_appointed() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        let commit = members.join_next(Lsn::new(1));
        groups.appoint(commit);
        assert_eq!(fate(&groups, commit), Some(Outcome::Lead));
        assert_eq!(fate(&groups, commit), None);
    }

    #[test]
    fn a_rotation_overtakes_those_only_whose_records_it_made_durable() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        let first = members.join_next(Lsn::new(5));
        members.begin(&groups);
        let second = members.join_next(Lsn::new(9));
        assert_eq!(members.overtaken(Lsn::new(8), &groups), None);
        assert_eq!(members.overtaken(Lsn::new(9), &groups), Some(second));
        assert_eq!(fate(&groups, second), Some(Outcome::Done));
        assert_eq!(fate(&groups, first), None, "it is in flight still");
        let third = members.join_next(Lsn::new(12));
        assert_eq!(fate(&groups, third), None);
        assert_eq!(members.complete(&groups), Some(first));
        assert_eq!((fate(&groups, first), fate(&groups, third)), (Some(Outcome::Done), None));
    }

    #[test]
    fn a_chosen_group_is_not_overtaken() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        let commit = members.join_next(Lsn::new(1));
        assert_eq!(members.choose(), Some(commit));
        assert_eq!(members.overtaken(Lsn::new(1), &groups), None);
        groups.appoint(commit);
        assert_eq!(fate(&groups, commit), Some(Outcome::Lead));
    }

    #[test]
    fn after_the_end_nobody_sleeps_and_nothing_begins() {
        for (failed, outcome) in [(true, Outcome::Failed), (false, Outcome::Done)] {
            let (groups, mut members) = (CommitGroups::new(), Membership::default());
            let commit = members.join_next(Lsn::new(1));
            groups.end(failed);
            groups.appoint(commit);
            assert_eq!(fate(&groups, commit), Some(outcome));
            members.begin(&groups);
            members.complete(&groups);
            assert_eq!(fate(&groups, commit), Some(outcome));
        }
    }

    #[test]
    fn a_thread_that_slept_through_its_commit_finds_that_it_is_done() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        let late = members.join_next(Lsn::new(1));
        for _ in 0..5 {
            members.begin(&groups);
            members.complete(&groups);
            assert_eq!(fate(&groups, late), Some(Outcome::Done));
        }
    }

    #[test]
    fn a_thread_that_slept_through_its_commit_does_not_lead_a_later_one() {
        let (groups, mut members) = (CommitGroups::new(), Membership::default());
        let late = members.join_next(Lsn::new(1));
        for _ in 0..2 {
            members.begin(&groups);
            members.complete(&groups);
        }
        let later = members.join_next(Lsn::new(2));
        assert_eq!(later, late + 2, "they share a word");
        assert_eq!(members.choose(), Some(later));
        groups.appoint(later);
        assert_eq!(fate(&groups, late), Some(Outcome::Done));
        assert_eq!(fate(&groups, later), Some(Outcome::Lead));
    }
}
