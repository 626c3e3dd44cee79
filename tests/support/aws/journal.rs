//! The journal: every call that reached the fake.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// `RunTask`.
    pub operation: String,
    /// Its parameters. Those of a form are strings.
    pub parameters: Value,
}

/// The journal.
#[derive(Debug, Default)]
pub struct Journal {
    calls: Mutex<Vec<Call>>,
}

impl Journal {
    /// Adds a call.
    pub fn add(&self, operation: &str, parameters: &Value) {
        let call = Call { operation: operation.to_owned(), parameters: parameters.clone() };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// All calls so far, in order.
    pub fn all(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The parameters of all calls of one operation.
    pub fn of(&self, operation: &str) -> Vec<Value> {
        let of = self.all().into_iter().filter(|call| call.operation == operation);
        of.map(|call| call.parameters).collect()
    }
}
