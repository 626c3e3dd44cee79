//! A statement's clauses, judged by its tokens: before the parser, which would take some of them for
//! something else, and others for an error without a word of help.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::refusal::Refusal;
use super::shape::Verb;
use super::source::{Source, Spot};
use crate::db::Engine;

/// The verb that it begins with.
pub(super) fn verb(source: &Source<'_>) -> Result<Verb, Refusal> {
    let Some(first) = source.spots.first() else {
        return Err(Refusal::new("there is no statement to split into batches")
            .only_way("put the directive right before an UPDATE, DELETE or INSERT … SELECT"));
    };
    let first = if first.is("with") { behind_with(source).unwrap_or(first) } else { first };
    let word = source.sql[first.span.clone()].to_ascii_uppercase();
    let refusal = match first.keyword() {
        Keyword::UPDATE => return Ok(Verb::Update),
        Keyword::DELETE => return Ok(Verb::Delete),
        Keyword::INSERT => return Ok(Verb::Insert),
        Keyword::REPLACE => Refusal::new(
            "this REPLACE can't be split into batches: it deletes rows that are there already, and they \
             may be its own of earlier batches",
        )
        .way("write it as a DELETE and an INSERT"),
        Keyword::MERGE => Refusal::new(
            "this MERGE can't be split into batches: it may insert a row and change it later",
        )
        .way("write it as an UPDATE … FROM, a DELETE … USING and an INSERT … SELECT"),
        _ => Refusal::new(format!(
            "this statement can't be split into batches: it is no UPDATE, DELETE or INSERT but \
             begins with {word}"
        ))
        .only_way("remove the `batch` directive: it stands right before an UPDATE, DELETE or INSERT"),
    };
    Err(refusal.at(Some(first.span.clone()), ""))
}

/// What stands behind WITH and its queries. A name that reads like a verb is followed by AS or a
/// bracket.
fn behind_with<'s>(source: &'s Source<'_>) -> Option<&'s Spot> {
    const VERBS: [Keyword; 7] = [
        Keyword::UPDATE,
        Keyword::DELETE,
        Keyword::INSERT,
        Keyword::REPLACE,
        Keyword::MERGE,
        Keyword::SELECT,
        Keyword::VALUES,
    ];
    source.spots.iter().enumerate().skip(1).find_map(|(index, spot)| {
        let is_name = source
            .spots
            .get(index + 1)
            .is_some_and(|next| next.is("as") || next.token == Token::LParen);
        (spot.depth == 0 && VERBS.contains(&spot.keyword()) && !is_name).then_some(spot)
    })
}

/// Refuses clauses that no batch can have.
pub(super) fn refuse_clauses(
    source: &Source<'_>,
    verb: Verb,
    engine: Engine,
) -> Result<(), Refusal> {
    let span = |index: usize| source.span(index, index);
    // UPDATE LOW_PRIORITY t: the parser would take the modifier for the table. A table may have
    // such a name, but then SET, a dot or nothing follows.
    if engine == Engine::MySql
        && let Some(modifier) = source.spots.get(1)
        && ["low_priority", "quick", "ignore"].iter().any(|word| modifier.is(word))
        && source
            .spots
            .get(2)
            .is_some_and(|next| matches!(next.token, Token::Word(_)) && !next.is("set"))
    {
        let word = source.sql[modifier.span.clone()].to_ascii_uppercase();
        return Err(ignores(verb, &word).at(span(1), ""));
    }
    if let Some(index) = source.clause("current")
        && source.spots.get(index + 1).is_some_and(|next| next.is("of"))
    {
        return Err(
            Refusal::of(verb, "WHERE CURRENT OF follows a cursor, row by row").at(span(index), "")
        );
    }
    if let Some(index) = source.clause("returning") {
        return Err(Refusal::of(verb, "nobody would read what RETURNING returns")
            .at(span(index), "")
            .way("remove RETURNING"));
    }
    for (word, cause) in [
        ("limit", "LIMIT would count anew in each batch"),
        ("order", "ORDER BY would hold within each batch only"),
    ] {
        if let Some(index) = source.clause(word) {
            let refusal = Refusal::of(verb, cause).at(span(index), "");
            let by_condition = "say with WHERE which rows you mean";
            return Err(match verb {
                Verb::Insert => refusal.way(format!("remove it; or {by_condition}")),
                Verb::Update | Verb::Delete if engine == Engine::MySql => refusal.way(by_condition),
                // Whole, it would be no valid SQL there.
                Verb::Update | Verb::Delete => refusal.only_way(by_condition),
            });
        }
    }
    let set = source.clause("set").unwrap_or(0);
    let comma = |spot: &Spot| spot.depth == 0 && spot.token == Token::Comma;
    if verb == Verb::Update
        && let Some(index) = source.spots[..set].iter().position(comma)
    {
        return Err(Refusal::of(verb, "it lists its tables with commas")
            .at(span(index), "")
            .way("write JOIN … ON between them"));
    }
    Ok(())
}

/// The refusal of a modifier.
pub(super) fn ignores(verb: Verb, what: &str) -> Refusal {
    Refusal::of(
        verb,
        format_args!("{what} changes how it waits, or what becomes of rows that fail"),
    )
    .way(format!("remove {what}"))
}
