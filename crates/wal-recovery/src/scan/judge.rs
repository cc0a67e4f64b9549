//! What is wrong with a log, told from how its segments end.

use wal_core::format::SegmentHeader;

use crate::report::{Damage, DamageKind};
use crate::scan::chain::Status;
use crate::scan::found::{Found, Live, Scan};
use crate::segment::outcome::End;

/// Says what is wrong.
pub(super) fn judge(scan: &mut Scan) {
    let mut damages = Vec::new();
    let mut unsupported = None;
    if let Some(lsn) = scan.missing {
        let oldest = scan.live().next().expect("something follows the gap");
        damages.push(Damage {
            kind: DamageKind::Gap,
            segment: oldest.header.first_lsn,
            offset: 0,
            lsn: scan.log_start.min(lsn),
            bytes: 0,
            reason: format!("the segment that holds LSN {lsn} is missing"),
        });
    }
    for found in &scan.segments {
        if let (Status::Unreadable, Err(error)) = (found.status, &found.header) {
            damages.push(Damage {
                kind: DamageKind::Header,
                segment: found.name,
                offset: error.offset().unwrap_or(0),
                lsn: found.name,
                bytes: found.len,
                reason: error.detail().to_owned(),
            });
        }
        if let (Status::Stray, Ok(header)) = (found.status, &found.header) {
            damages.push(stray(found, header, &scan.segments));
        }
        let Some(live) = found.live() else { continue };
        if let End::Unsupported(error) = &live.walk.end {
            // Behind the limit nothing is read.
            if live.limit.is_none_or(|limit| live.walk.last_lsn(live.header) < limit) {
                unsupported = unsupported.or(Some(error.clone()));
            }
        }
        damages.extend(judge_one(live));
    }
    scan.damages = damages;
    scan.unsupported = unsupported;
}

/// An owner is told before each segment that it has lost the log. So it begins one and no more, and each opening takes
/// out what there is.
///
/// Of two owners of one epoch nobody knows which one lost the log: both may have acknowledged what they wrote.
fn stray(found: &Found, header: &SegmentHeader, all: &[Found]) -> Damage {
    let owner = header.owner;
    let has_twin = all.iter().any(|other| {
        let other = other.header.as_ref().map(|header| header.owner);
        other.is_ok_and(|other| other.epoch == owner.epoch && other.token != owner.token)
    });
    let is_only = all.iter().filter(|f| f.status == Status::Stray).count() == 1;
    let kind = if is_only && !has_twin { DamageKind::Stray } else { DamageKind::Mixed };
    let reason = if has_twin {
        "and another owner of the same epoch began another one, so the files of two copies of the log were mixed, which went on \
         apart, or the files LOCK and OWNER were removed beside a writer"
    } else if is_only {
        "after a later owner had taken the log over; nothing in it was acknowledged as durable, unless the files of two copies \
         of the log were mixed"
    } else {
        "after a later owner had taken the log over; there are others like it, so the files of two copies of the log were mixed, \
         which went on apart"
    };
    Damage {
        kind,
        segment: found.name,
        offset: 0,
        lsn: found.name,
        bytes: found.len,
        reason: format!("owner {owner} began this segment {reason}"),
    }
}

pub(crate) fn judge_one(live: Live<'_>) -> Option<Damage> {
    let Live { header, walk, limit, .. } = live;
    let last = walk.last_lsn(header);
    let offset = walk.summary.data_end;
    let damage = |kind, extent: u64, reason| {
        let (segment, lsn) = (header.first_lsn, last.next().max(header.first_lsn));
        let bytes = extent.saturating_sub(offset);
        Some(Damage { kind, segment, offset, lsn, bytes, reason })
    };
    let reaches = limit.is_some_and(|limit| last >= limit);
    match &walk.end {
        End::Sealed(_) | End::Open if limit.is_none() || reaches => None,
        End::Sealed(end) => damage(
            DamageKind::Gap,
            *end,
            format!(
                "the segment ends with LSN {last}, the next one follows LSN {}",
                limit.unwrap_or_default()
            ),
        ),
        End::Unsupported(_) | End::Moved => None,
        End::Torn { reason, extent } if limit.is_none() => {
            damage(DamageKind::TornTail, *extent, reason.clone())
        }
        End::Broken { reason, extent } | End::Torn { reason, extent } if reaches => {
            damage(DamageKind::Footer, *extent, format!("no valid footer: {reason}"))
        }
        End::Broken { reason, extent } | End::Torn { reason, extent } => {
            let what = limit.map(|l| format!("; the next segment follows LSN {l}"));
            let reason = format!("{reason}{}", what.unwrap_or_default());
            damage(DamageKind::Corrupt, *extent, reason)
        }
        End::Open => damage(DamageKind::Corrupt, live.len, "the segment ends early".into()),
    }
}
