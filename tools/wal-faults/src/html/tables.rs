//! Strategies, fault kinds, mutants, failures.

use wal_testkit::{Failure, Outcome};

use super::super::kinds::kind_told;
use super::super::owners::Owned;
use super::super::replay;
use super::super::report::Report;
use super::super::risk::{Risk, Verdict};
use super::super::table::cells;
use super::super::trial::Trial;
use wal_tool::html::Text;
use wal_tool::number::grouped;

/// What was broken, step by step.
pub(super) fn failures(report: &Report) -> String {
    report.violations().map(|found| failure(report, found)).collect()
}

fn failure(report: &Report, failure: &Failure) -> String {
    format!(
        "<section><h2>Broken: {} on {}</h2><p>{}</p>{}</section>",
        Text(&failure.case.strategy),
        Text(&failure.case.storage),
        Text(&failure.violation),
        trace(report, failure)
    )
}

/// The story of a failure, and the command that replays it.
fn trace(report: &Report, failure: &Failure) -> String {
    let story = failure.story.join("\n");
    format!(
        "<pre>{}</pre><p class=\"note\">To see it again:</p><pre>{}</pre>",
        Text(story),
        Text(replay::again(report.command.as_deref(), &failure.case))
    )
}

/// One row for each strategy.
pub(super) fn risks(report: &Report) -> String {
    let rows: String = report.strategies.iter().map(risk).collect();
    // The same for all, as subjects are every strategy on every storage.
    let storages = report.strategies.first().map_or("", |risk| &risk.outcome.storage);
    format!(
        "<section><h2>What each strategy risks</h2>\
         <p class=\"note\">The worst loss of acknowledged records, and what is claimed: <b>7</b> / 8 \
         means that seven were lost and eight may be; 0, that none was and none may be; ∞, that the \
         claim has no such bound. A claim is <em>tight</em> if some crash took as much as it says. Times \
         are those of the logical clock, between the first and the last record that one sync would have \
         covered. Storages: {}.</p>\
         <div class=\"wide\"><table><thead><tr><th rowspan=\"2\">strategy</th>\
         <th colspan=\"3\" class=\"group\">the process dies</th>\
         <th colspan=\"3\" class=\"group\">the power fails</th>\
         <th rowspan=\"2\">claim</th><th rowspan=\"2\" class=\"n\">states</th></tr><tr>{}{}</tr></thead>\
         <tbody>{rows}</tbody></table></div></section>",
        Text(storages),
        units(),
        units()
    )
}

fn units() -> &'static str {
    "<th class=\"n first\">records</th><th class=\"n\">bytes</th><th class=\"n\">ms</th>"
}

fn risk(risk: &Risk) -> String {
    let Outcome { strategy, claim, process_crash, power_loss, states, .. } = &risk.outcome;
    let side = |[records, bytes, millis]: [String; 3]| {
        let cell = |class, text| format!("<td class=\"n {class}\">{}</td>", share(text));
        [cell("first", &records), cell("", &bytes), cell("", &millis)].concat()
    };
    let verdict = match risk.verdict() {
        Verdict::Broken(failure) => badge("bad", "broken", &failure.violation.to_string()),
        Verdict::Loose(why) => badge("bad", "loose", &why),
        Verdict::Tight => badge("good", "tight", "some crash took as much as is claimed"),
    };
    format!(
        "<tr><th><code>{}</code></th>{}{}<td>{verdict}</td><td class=\"n\">{}</td></tr>",
        Text(strategy),
        side(cells(&claim.process_crash, process_crash)),
        side(cells(&claim.power_loss, power_loss)),
        grouped(*states)
    )
}

/// `7/8` with the claim in the background; nothing of nothing is a zero.
fn share(cell: &str) -> String {
    match cell.split_once('/') {
        Some(("0", "0")) => {
            "<span class=\"nothing\" title=\"none lost, none claimed\">0</span>".into()
        }
        Some((seen, claim)) => format!("<b>{seen}</b><span class=\"of\"> / {claim}</span>"),
        None => cell.into(),
    }
}

fn badge(class: &str, word: &str, why: &str) -> String {
    format!("<span class=\"badge {class}\" title=\"{}\">{word}</span>", Text(why))
}

/// Several owners of one log.
pub(super) fn owners(report: &Report) -> String {
    if report.owners.is_empty() {
        return String::new();
    }
    let rows: String = report.owners.iter().map(owned).collect();
    format!(
        "<section><h2>Several owners of one log</h2>\
         <p class=\"note\">The lock is granted to everybody, and each owner stops before each call of the file \
         system, or of the storage where a row says so. All orders of their calls are run, but for those that give the same as another one; or random \
         orders, where there are too many. In the end every record that an owner was told to be durable must be \
         there, as the disk is and after a power loss.</p>\
         <div class=\"wide\"><table><thead><tr><th>scenario</th><th>what each owner does</th>\
         <th class=\"n\">records before</th><th class=\"n\">orders run</th><th class=\"n\">left off</th>\
         <th class=\"n\">states</th><th class=\"n\">different ends</th>\
         <th>which</th><th>result</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
}

fn owned(owned: &Owned) -> String {
    let result = match &owned.failure {
        Some(wrong) => badge("bad", "broken", wrong),
        None => badge("good", "holds", "every durable record was there"),
    };
    format!(
        "<tr><th>{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td>{}</td><td>{result}</td></tr>",
        Text(owned.scenario),
        Text(&owned.acts),
        owned.records,
        grouped(owned.orders),
        grouped(owned.left_off),
        grouped(owned.states),
        grouped(owned.ends),
        owned.how()
    )
}

/// A bar for each kind of fault.
pub(super) fn kinds(report: &Report) -> String {
    let most = report.kinds.values().copied().max().unwrap_or(1).max(1);
    let rows: String = report
        .kinds
        .iter()
        .map(|(kind, states)| {
            let (name, means) = kind_told(*kind);
            let width = *states as f64 / most as f64 * 100.0;
            format!(
                "<tr><th>{}<small>{}</small></th><td class=\"n\">{}</td>\
                 <td class=\"track\"><div style=\"width:{width:.2}%\"></div></td></tr>",
                Text(name),
                Text(means),
                grouped(*states)
            )
        })
        .collect();
    format!(
        "<section><h2>What the states contained</h2><p class=\"note\">A state counts for each kind of \
         fault in its crash or before it.</p><table class=\"kinds\"><tbody>{rows}</tbody></table></section>"
    )
}

/// A row for each mutant, with its trace.
pub(super) fn mutants(report: &Report) -> String {
    let Some(mutants) = &report.mutants else { return String::new() };
    let rows: String = mutants.iter().map(|found| mutant(report, found)).collect();
    format!(
        "<section><h2>Seeded mistakes</h2><p class=\"note\">The real code with one thing wrong, put at a \
         seam below or beside it. The kit must find each, or its silence about the code as shipped would \
         mean nothing.</p><div class=\"wide\"><table class=\"mutants\"><thead><tr><th>mistake</th>\
         <th>on</th><th>caught by</th><th class=\"n\">after states</th></tr></thead>\
         <tbody>{rows}</tbody></table></div></section>"
    )
}

fn mutant(report: &Report, mutant: &Trial) -> String {
    let verdict = match &mutant.caught_by {
        Some(by) => {
            let told = oracle_told(by);
            format!("{}<small>{told}</small>", badge("good", &Text(by).to_string(), told))
        }
        None => badge("bad", "survived", "nothing was found"),
    };
    let command = match &mutant.failure {
        Some(failure) => {
            format!("<pre>{}</pre>", Text(replay::again(report.command.as_deref(), &failure.case)))
        }
        None => String::new(),
    };
    let finding = match &mutant.finding {
        Some(found) => format!("<details><summary>{}</summary>{command}</details>", Text(found)),
        None => String::new(),
    };
    format!(
        "<tr><th><code>{}</code><small>{}</small>{finding}</th><td><code>{}</code> on <code>{}</code></td>\
         <td>{verdict}</td><td class=\"n\">{}</td></tr>",
        Text(mutant.name),
        Text(mutant.bug),
        Text(&mutant.strategy),
        Text(&mutant.storage),
        grouped(mutant.states)
    )
}

/// What an oracle checks.
fn oracle_told(oracle: &str) -> &'static str {
    match oracle {
        "O1" => "records come back whole, once, and byte for byte",
        "O2" => "no number is missing between two records",
        "O3" => "no more is lost than is claimed, and nothing that was reported durable",
        "O4" => "what was truncated does not come back",
        "O5" => "what a recovery returned survives a second crash",
        "O6" => "damage to durable bytes is an error, never a shorter log",
        "O7" => "a crash alone never keeps the log from opening",
        "O8" => "after a failed sync nothing is acknowledged",
        "O9" => "what is appended after a recovery survives the next crash",
        "O10" => "no number is given out twice",
        "lock" => "a log has one opener at a time",
        "progress" => "nobody waits for ever",
        "panic" => "nothing panics",
        "tightness" => "some crash takes as much as is claimed",
        _ => "",
    }
}
