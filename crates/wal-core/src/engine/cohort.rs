//! Threads that wait for the same commit, woken all at once.
//!
//! Waking sixty threads one by one takes longer than the sync that they waited for. So all threads whose
//! records the next commit covers, its *cohort*, sleep on one word, and one call wakes them. They learn
//! from the word what became of them and do not take the log's lock again. Of the cohort that gathers
//! while a commit is in flight, one thread leads the next one.
//!
//! Commits are numbered. At most two cohorts are of interest, the one in flight and the one that gathers,
//! so there are two words, for even and for odd numbers.

use super::waiters::Outcome;
use crate::Lsn;
use crate::sync::Signal;

/// The number of a commit. Only equality counts, so that it may wrap around; the two highest bits are
/// lost in a word.
pub(crate) type CommitNumber = u32;

/// What a word says while its cohort waits.
const fn waiting(commit: CommitNumber) -> u32 {
    commit << 2
}

/// One of the cohort is to lead; the first that sees this does.
const fn lead(commit: CommitNumber) -> u32 {
    waiting(commit) | 1
}

/// There will be no more commits: the log failed, or was closed. A word stays like this.
const FAILED: u32 = 2;
const CLOSED: u32 = 3;

const fn is_final(word: u32) -> bool {
    word == FAILED || word == CLOSED
}

/// The words on which cohorts sleep.
pub(crate) struct Cohorts([Signal; 2]);

impl Cohorts {
    pub(crate) fn new() -> Self {
        Cohorts([Signal::new(waiting(0)), Signal::new(waiting(1))])
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

    /// Makes one thread of the gathering cohort lead the commit.
    pub(crate) fn appoint(&self, commit: CommitNumber) {
        let word = self.word(commit);
        // If there are to be no more commits, nobody leads one.
        if word.exchange(waiting(commit), lead(commit)) {
            word.wake_one();
        }
    }

    /// From now on threads may join this commit, and nobody waits for the one of the same parity before.
    /// Called under the short lock. Those who waited are yet to be [woken](Self::wake).
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

/// Which commits threads wait for; under the log's short lock.
#[derive(Default)]
pub(crate) struct Commits {
    /// The commit that gathers, how many threads wait for it, and up to which record.
    next: CommitNumber,
    gathered: u64,
    upto: Lsn,
    /// Whether one of them was chosen to lead it.
    appointed: bool,
    /// The commit in flight, and how many threads wait for it.
    flying: Option<CommitNumber>,
    aboard: u64,
}

impl Commits {
    /// Joins those who wait for the next commit.
    pub(crate) fn join_next(&mut self, lsn: Lsn) -> CommitNumber {
        self.gathered += 1;
        self.upto = self.upto.max(lsn);
        self.next
    }

    /// Joins those who wait for the commit in flight, if there is one.
    pub(crate) fn join_flying(&mut self) -> Option<CommitNumber> {
        self.aboard += u64::from(self.flying.is_some());
        self.flying
    }

    /// A commit begins: what gathered is in flight.
    pub(crate) fn depart(&mut self, cohorts: &Cohorts) {
        self.appointed = false;
        self.flying = Some(self.next);
        self.aboard = std::mem::take(&mut self.gathered);
        self.next = self.next.wrapping_add(1);
        cohorts.open(self.next);
    }

    /// The commit in flight is done: which, if a thread is to be woken for it.
    pub(crate) fn land(&mut self, cohorts: &Cohorts) -> Option<CommitNumber> {
        let commit = self.flying.take()?;
        let awaited = std::mem::take(&mut self.aboard) > 0;
        cohorts.open(commit.wrapping_add(2));
        awaited.then_some(commit)
    }

    /// Something else than a commit, a rotation, made all records durable that the gathering threads
    /// wait for: which commit they think of.
    pub(crate) fn overtaken(&mut self, durable: Lsn, cohorts: &Cohorts) -> Option<CommitNumber> {
        // One who is about to lead must find the commit that it is to lead.
        if self.gathered == 0 || durable < self.upto || self.appointed {
            return None;
        }
        let commit = self.next;
        self.gathered = 0;
        // Of the same parity: the other word may belong to a commit in flight.
        self.next = commit.wrapping_add(2);
        cohorts.open(self.next);
        Some(commit)
    }

    /// Whether a thread waits for the next commit.
    pub(crate) fn is_awaited(&self) -> bool {
        self.gathered > 0
    }

    /// Chooses the cohort that gathers to lead its commit, if there is one; it is yet to be
    /// [appointed](Cohorts::appoint).
    pub(crate) fn choose(&mut self) -> Option<CommitNumber> {
        self.appointed = self.gathered > 0;
        self.appointed.then_some(self.next)
    }

    /// How many threads wait for the next commit.
    pub(crate) fn gathered(&self) -> u64 {
        self.gathered
    }

    /// How many threads wait for the commit in flight.
    pub(crate) fn aboard(&self) -> u64 {
        self.aboard
    }

    /// How many threads wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.gathered + self.aboard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread would find that waits for `commit`.
    fn fate(cohorts: &Cohorts, commit: CommitNumber) -> Option<Outcome> {
        let asleep = cohorts.word(commit).load() == waiting(commit);
        (!asleep).then(|| cohorts.wait(commit))
    }

    #[test]
    fn a_cohort_sleeps_until_its_own_commit_has_landed() {
        let (cohorts, mut commits) = (Cohorts::new(), Commits::default());
        let mut flying = None;
        for _ in 0..9 {
            let next = commits.join_next(Lsn::new(1));
            commits.depart(&cohorts);
            assert_eq!(commits.join_flying(), Some(next));
            let later = commits.join_next(Lsn::new(2));
            assert_eq!((fate(&cohorts, next), fate(&cohorts, later)), (None, None));
            assert_eq!(commits.waiting(), 3 + flying.map_or(0, |_| 1));
            assert_eq!(commits.land(&cohorts), Some(next));
            assert_eq!(fate(&cohorts, next), Some(Outcome::Done));
            assert_eq!(fate(&cohorts, later), None);
            flying = Some(later);
        }
    }

    #[test]
    fn one_thread_is_appointed() {
        let (cohorts, mut commits) = (Cohorts::new(), Commits::default());
        let commit = commits.join_next(Lsn::new(1));
        cohorts.appoint(commit);
        assert_eq!(fate(&cohorts, commit), Some(Outcome::Lead));
        assert_eq!(fate(&cohorts, commit), None);
    }

    #[test]
    fn a_rotation_overtakes_those_only_whose_records_it_made_durable() {
        let (cohorts, mut commits) = (Cohorts::new(), Commits::default());
        let first = commits.join_next(Lsn::new(5));
        commits.depart(&cohorts);
        let second = commits.join_next(Lsn::new(9));
        assert_eq!(commits.overtaken(Lsn::new(8), &cohorts), None);
        assert_eq!(commits.overtaken(Lsn::new(9), &cohorts), Some(second));
        assert_eq!(fate(&cohorts, second), Some(Outcome::Done));
        assert_eq!(fate(&cohorts, first), None, "it is in flight still");
        let third = commits.join_next(Lsn::new(12));
        assert_eq!(fate(&cohorts, third), None);
        assert_eq!(commits.land(&cohorts), Some(first));
        assert_eq!((fate(&cohorts, first), fate(&cohorts, third)), (Some(Outcome::Done), None));
    }

    #[test]
    fn a_chosen_cohort_is_not_overtaken() {
        let (cohorts, mut commits) = (Cohorts::new(), Commits::default());
        let commit = commits.join_next(Lsn::new(1));
        assert_eq!(commits.choose(), Some(commit));
        assert_eq!(commits.overtaken(Lsn::new(1), &cohorts), None);
        cohorts.appoint(commit);
        assert_eq!(fate(&cohorts, commit), Some(Outcome::Lead));
    }

    #[test]
    fn after_the_end_nobody_sleeps_and_nothing_begins() {
        for (failed, outcome) in [(true, Outcome::Failed), (false, Outcome::Done)] {
            let (cohorts, mut commits) = (Cohorts::new(), Commits::default());
            let commit = commits.join_next(Lsn::new(1));
            cohorts.end(failed);
            cohorts.appoint(commit);
            assert_eq!(fate(&cohorts, commit), Some(outcome));
            commits.depart(&cohorts);
            commits.land(&cohorts);
            assert_eq!(fate(&cohorts, commit), Some(outcome));
        }
    }

    #[test]
    fn a_thread_that_slept_through_its_commit_finds_that_it_is_done() {
        let (cohorts, mut commits) = (Cohorts::new(), Commits::default());
        let late = commits.join_next(Lsn::new(1));
        for _ in 0..5 {
            commits.depart(&cohorts);
            commits.land(&cohorts);
            assert_eq!(fate(&cohorts, late), Some(Outcome::Done));
        }
    }
}
