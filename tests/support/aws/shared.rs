//! The world, and what stands around it: the clock, the journal, the faults.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

use super::api::Refusal;
use super::clock::Clock;
use super::faults::{Fault, Faults};
use super::journal::Journal;
use super::world::World;

/// What the server, the driver and the test share.
#[derive(Debug)]
pub struct Shared {
    /// Where time comes from.
    pub clock: Clock,
    /// Every call.
    pub journal: Journal,
    /// What is to go wrong.
    pub faults: Faults,
    /// Wakes the driver.
    pub wake: Notify,
    /// `http://127.0.0.1:…`
    pub url: String,
    world: Mutex<World>,
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// With an answer.
    Answer(Value),
    /// With an error.
    Refusal(Refusal),
    /// Without either.
    Reset,
}

impl Shared {
    /// Around a world.
    pub fn new(world: World, clock: Clock, url: String) -> Self {
        let (journal, faults, wake) = (Journal::default(), Faults::default(), Notify::new());
        Shared { clock, journal, faults, wake, url, world: Mutex::new(world) }
    }

    /// Does something with the world as it is now.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        // A test that fails in the closure must not hide why by a poisoned lock.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = self.clock.now() {
            world.advance_to(now);
        }
        let done = act(&mut world);
        let now = world.now();
        world.advance_to(now);
        if !world.effects.is_empty() || world.next_due().is_some() {
            self.wake.notify_one();
        }
        done
    }

    /// As [`Shared::with`], for the driver itself, which needn't be woken.
    pub(super) fn take<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = self.clock.now() {
            world.advance_to(now);
        }
        act(&mut world)
    }

    /// A call of an operation: written down, perhaps made to fail, else answered.
    pub fn call(&self, service: &str, operation: &str, parameters: &Value) -> Outcome {
        self.journal.add(operation, parameters);
        match self.faults.take(operation) {
            Some(Fault::Reset) => Outcome::Reset,
            Some(Fault::Lost) => {
                drop(self.answer(service, operation, parameters));
                Outcome::Reset
            }
            Some(Fault::Then(act)) => {
                let answer = self.answer(service, operation, parameters);
                self.with(act);
                answer
            }
            Some(Fault::Answered(answer)) => Outcome::Answer(answer),
            Some(fault) => Outcome::Refusal(fault.refusal(service, operation)),
            None => self.answer(service, operation, parameters),
        }
    }

    fn answer(&self, service: &str, operation: &str, parameters: &Value) -> Outcome {
        let reply = self.with(|world| match service {
            "elasticloadbalancing" => world.answer_query(parameters),
            _ => world.answer(operation, parameters),
        });
        reply.map_or_else(Outcome::Refusal, Outcome::Answer)
    }
}
