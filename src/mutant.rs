//! Deliberate mistakes, to prove that the fault search finds what it is for (`make mutants`). Without the feature `mutants`
//! none of them is compiled in; with it, one at a time is chosen at run time.

/// A mistake in a rule or in carrying it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Mutant {
    /// One node more than the budget allows is taken.
    BudgetOffByOne = 1,
    /// Slots are counted from claims only: live Jobs, pods and locks are forgotten.
    ClaimsOnly,
    /// The node is given back while something of the operation is still on it.
    ReleaseTooEarly,
    /// A release takes the cordon off whoever has set it.
    NoOwnership,
    /// Steps are taken although the claim before them was refused.
    ActBeforeClaim,
    /// Another operation's lock is no obstacle.
    NoLock,
    /// An object that a list does not show counts as gone.
    TrustLists,
    /// A Job that is gone is simply made again.
    StartAgain,
    /// The Job's condition is believed, not the exit code of the command.
    BelieveTheJob,
    /// A lock is swept without a look whether its owner is gone.
    SweepAnything,
    /// A failed node is never given back.
    KeepFailed,
    /// A node that failed is recorded as done.
    Lie,
}

impl Mutant {
    /// All of them.
    #[cfg(feature = "mutants")]
    pub const ALL: [Self; 12] = [
        Self::BudgetOffByOne,
        Self::ClaimsOnly,
        Self::ReleaseTooEarly,
        Self::NoOwnership,
        Self::ActBeforeClaim,
        Self::NoLock,
        Self::TrustLists,
        Self::StartAgain,
        Self::BelieveTheJob,
        Self::SweepAnything,
        Self::KeepFailed,
        Self::Lie,
    ];

    /// Whether this mistake is made.
    #[cfg(not(feature = "mutants"))]
    #[inline]
    pub(crate) const fn lives(self) -> bool {
        false
    }

    /// Whether this mistake is made.
    #[cfg(feature = "mutants")]
    pub(crate) fn lives(self) -> bool {
        CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == self as usize
    }

    /// Makes this mistake from now on, and no other; None: none.
    #[cfg(feature = "mutants")]
    pub fn choose(mutant: Option<Self>) {
        CHOSEN.store(mutant.map_or(0, |mutant| mutant as usize), std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(feature = "mutants")]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
