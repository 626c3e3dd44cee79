//! Members: processes that help the run at work with its backfill.
//!
//! A member has no lock and no epoch of its own. It enters itself with the epoch of the run that it
//! helps, and counts its *beats*: whether it lives, its leader sees by the count, so that no clock of
//! anybody's is trusted. What it writes is fenced by the epoch, and by its name in a range's `owner`.

use crate::db::{Row, Session, Statement, Value};
use crate::history::now;

use super::{Identity, Ledger, LedgerError, Pen};

/// The first version of the ledger that has the table.
const SINCE: i64 = 5;

/// A process that helps a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Its id, which is the owner of the ranges that it is lent.
    pub member: String,
    /// The host's name.
    pub host: String,
    /// The process there.
    pub pid: i64,
    /// Since when it helps, RFC 3339.
    pub joined_at: String,
    /// Grows while it lives.
    pub beats: i64,
    /// How many workers of it are at work.
    pub workers: u32,
    /// How many of them have nothing to do.
    pub wants: u32,
    /// Whether it holds, as an operator asked.
    pub rests: bool,
    /// The number of a range of which its leader would like a part; 0 for none.
    pub asked: u32,
}

/// What a member tells with each beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// How many workers of it are at work.
    pub workers: u32,
    /// How many of them have nothing to do.
    pub wants: u32,
    /// Whether it holds, as an operator asked.
    pub rests: bool,
}

impl Ledger {
    /// Whether the run at work knows of members: an older lockkeeper's doesn't.
    ///
    /// # Errors
    /// As [`Ledger::version`].
    pub async fn takes_members(&self, session: &mut dyn Session) -> Result<bool, LedgerError> {
        Ok(self.version(session).await?.is_some_and(|version| version >= SINCE))
    }

    /// Whether the run of this epoch is still at this backfill, by its version and step.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_open(
        &self,
        session: &mut dyn Session,
        (version, step): (i64, u32),
        epoch: i64,
    ) -> Result<bool, LedgerError> {
        let ranges = self.ranges(session, version, step).await?;
        Ok(!ranges.is_empty() && ranges.iter().all(|range| range.epoch == epoch))
    }

    /// The right to write of who helps the run of this epoch. Nothing is written yet.
    pub fn join(&self, identity: &Identity, epoch: i64) -> Pen {
        let owner = identity.run.clone();
        Pen { ledger: self.clone(), run: identity.run.clone(), epoch, owner }
    }

    /// Who helps the run of this epoch, of a ledger that [takes members](Ledger::takes_members).
    ///
    /// # Errors
    /// The database's.
    pub async fn members(
        &self,
        session: &mut dyn Session,
        epoch: i64,
    ) -> Result<Vec<MemberRecord>, LedgerError> {
        let sql = self.sql(
            "select member, host, pid, joined_at, beats, workers, wants, rests, asked \
             from [member] where epoch = {1} order by joined_at, member",
        );
        let rows = session.query(&Statement::new(sql, vec![epoch.into()])).await?;
        rows.iter().map(member).collect()
    }

    /// What a backfill's statement was made to by the run at work: see [`Pen::describe`].
    ///
    /// # Errors
    /// The database's.
    pub async fn described(
        &self,
        session: &mut dyn Session,
        version: i64,
        step: u32,
    ) -> Result<Option<String>, LedgerError> {
        let sql = self.sql("select prepared_as from [step] where version = {1} and step = {2}");
        let params = vec![version.into(), i64::from(step).into()];
        let rows = session.query(&Statement::new(sql, params)).await?;
        let found = rows.first().map(|row| row.optional_text(0)).transpose()?.flatten();
        Ok(found.map(str::to_owned))
    }
}

impl Pen {
    /// Enters what a backfill's statement was made to, for members to compare with what they make of it.
    pub fn describe(&self, version: i64, step: u32, fingerprint: &str) -> Statement {
        let sql = self
            .ledger
            .sql("update [step] set prepared_as = {1} where version = {2} and step = {3}");
        Statement::new(sql, vec![fingerprint.into(), version.into(), i64::from(step).into()])
    }

    /// A beat of this member, which is entered where it isn't yet, or was taken for dead. Returns the
    /// number of the range of which its leader would like a part; 0 for none. Each write is a statement
    /// of its own, without a transaction around it: of a process that stands still in the middle nothing
    /// stays locked.
    ///
    /// # Errors
    /// The database's.
    pub async fn beat(
        &self,
        session: &mut dyn Session,
        identity: &Identity,
        beat: Beat,
    ) -> Result<u32, LedgerError> {
        let numbers = [beat.workers.into(), beat.wants.into(), i64::from(beat.rests)];
        let numbers = numbers.map(Value::from);
        let sql = self.ledger.sql(
            "update [member] set beats = beats + 1, workers = {1}, wants = {2}, rests = {3} \
             where member = {4} and epoch = {5}",
        );
        let mine = [Value::from(self.owner.as_str()), self.epoch.into()];
        let params = [&numbers[..], &mine[..]].concat();
        session.query(&Statement::new(sql, params)).await?;
        let members = self.ledger.members(session, self.epoch).await?;
        if let Some(own) = members.into_iter().find(|member| member.member == self.owner) {
            return Ok(own.asked);
        }
        session.query(&self.forget_member(&self.owner)).await?;
        let sql = self.ledger.sql(
            "insert into [member] (member, epoch, host, pid, joined_at, beats, workers, wants, rests, \
             asked) values ({1}, {2}, {3}, {4}, {5}, 1, {6}, {7}, {8}, 0)",
        );
        let who: [Value; 3] =
            [identity.host.as_str().into(), i64::from(identity.pid).into(), now().into()];
        let params = [&mine[..], &who[..], &numbers[..]].concat();
        session.query(&Statement::new(sql, params)).await?;
        Ok(0)
    }

    /// Asks a member for a part of its range `number`; 0 for none. Only where it was asked for `before`,
    /// so that neither side overwrites the other's word.
    pub fn ask_member(&self, member: &str, before: u32, number: u32) -> Statement {
        let sql = self.ledger.sql(
            "update [member] set asked = {1} where member = {2} and epoch = {3} and asked = {4}",
        );
        let params = vec![
            i64::from(number).into(),
            member.into(),
            self.epoch.into(),
            i64::from(before).into(),
        ];
        Statement::new(sql, params)
    }

    /// The name in the ranges that this one may move: none, for the run itself.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Lends a range of the run's own to a member, by compare-and-swap.
    pub fn lend(&self, version: i64, step: u32, number: u32, member: &str) -> Statement {
        let sql = self.ledger.sql(
            "update [range] set owner = {1} where version = {2} and step = {3} and number = {4} \
             and epoch = {5} and owner = ''",
        );
        let params = vec![
            member.into(),
            version.into(),
            i64::from(step).into(),
            i64::from(number).into(),
            self.epoch.into(),
        ];
        Statement::new(sql, params).must_affect(1)
    }

    /// Makes a member's ranges the run's own again. It waits for the open batch of each, which, if it
    /// comes later, finds itself fenced.
    pub fn take_back(&self, version: i64, step: u32, member: &str) -> Statement {
        let sql = self.ledger.sql(
            "update [range] set owner = '' where version = {1} and step = {2} and epoch = {3} \
             and owner = {4}",
        );
        let params = vec![version.into(), i64::from(step).into(), self.epoch.into(), member.into()];
        Statement::new(sql, params)
    }

    /// Forgets all members of this run, at the end of its backfill.
    pub fn forget_members(&self) -> Statement {
        let sql = self.ledger.sql("delete from [member] where epoch = {1}");
        Statement::new(sql, vec![self.epoch.into()])
    }

    /// Forgets a member.
    pub fn forget_member(&self, member: &str) -> Statement {
        let sql = self.ledger.sql("delete from [member] where member = {1}");
        Statement::new(sql, vec![member.into()])
    }
}

fn member(row: &Row) -> Result<MemberRecord, LedgerError> {
    let number = |index| row.int(index).map(|number| u32::try_from(number).unwrap_or(0));
    Ok(MemberRecord {
        member: row.text(0)?.to_owned(),
        host: row.text(1)?.to_owned(),
        pid: row.int(2)?,
        joined_at: row.text(3)?.to_owned(),
        beats: row.int(4)?,
        workers: number(5)?,
        wants: number(6)?,
        rests: row.int(7)? != 0,
        asked: number(8)?,
    })
}
