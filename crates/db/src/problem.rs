//! What a caller of the service is told when the database does not do as it was asked.

use crate::Error;
use charter_kernel::{Problem, ProblemKind};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Corrupt(_) => {
                tracing::error!(%error, "the database is damaged");
                Self::new(
                    ProblemKind::Unavailable,
                    "the database is damaged: whoever runs this installation restores it from a backup, or goes back to another system that was \
                     taken over with `charter rescue`",
                )
                .retry_after(60)
            }
            Error::Unavailable(_) | Error::ReadOnly(_) | Error::Config(_) => {
                // Who asks need not know where the database stands, nor what it said.
                tracing::warn!(%error, "the database cannot be used");
                Self::new(ProblemKind::Unavailable, "the database cannot be reached or cannot be written: try again later")
                    .retry_after(2)
            }
            Error::Busy(_) | Error::Aborted(_) => {
                Self::new(ProblemKind::Unavailable, "the database is busy: try again").retry_after(1)
            }
            Error::Full(_) => Self::new(
                ProblemKind::Unavailable,
                "the database's disk is full: this was not written; the operator has to make room",
            )
            .retry_after(60),
            Error::CommitUnknown(_) => Self::new(
                ProblemKind::OutcomeUnknown,
                "the connection was lost while the change was being made final: read again to see whether it happened",
            )
            .retry_after(2),
            Error::Unique { constraint } => Self::new(ProblemKind::Taken, format!("there is one already ({constraint})")),
            Error::Foreign { constraint } => Self::new(
                ProblemKind::InUse,
                format!("something it refers to is missing, or something still refers to it ({constraint})"),
            ),
            Error::Check { constraint } => {
                Self::new(ProblemKind::Invalid, format!("a value is outside what is allowed ({constraint})"))
            }
            other => {
                tracing::error!(error = %other, "the database failed");
                Self::new(ProblemKind::Internal, "the database failed: the log says how")
            }
        }
    }
}
