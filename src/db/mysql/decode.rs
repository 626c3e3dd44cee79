//! From the driver's rows to values that cross the seam.

use sqlx::mysql::MySqlRow;
use sqlx::{Decode, Row as _, TypeInfo, ValueRef};

use crate::db::{DbError, ErrorKind, Row, Value};

pub(super) fn row(row: &MySqlRow) -> Result<Row, DbError> {
    (0..row.len()).map(|index| value(row, index)).collect::<Result<_, _>>().map(Row)
}

/// By the type that the server sends. Zero dates count as NULL to sqlx, but dates don't cross.
fn value(row: &MySqlRow, index: usize) -> Result<Value, DbError> {
    let refuse = |why: &str| DbError::new(ErrorKind::Type, format!("column {index} {why}"));
    let value = row.try_get_raw(index).map_err(|error| DbError::from_driver(&error))?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let kind = value.type_info().name().to_owned();
    match kind.as_str() {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
            let number = <i64 as Decode<sqlx::MySql>>::decode(value);
            number.map(Value::Int).map_err(|_| refuse("is no integer"))
        }
        "YEAR" | "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED"
        | "INT UNSIGNED" | "BIGINT UNSIGNED" => {
            let number = <u64 as Decode<sqlx::MySql>>::decode(value);
            let number = number.map_err(|_| refuse("is no integer"))?;
            let number = i64::try_from(number);
            number.map(Value::Int).map_err(|_| refuse("is beyond 64 bits signed: cast it to char"))
        }
        // MariaDB and MySQL call some texts binary: hex(), columns of information_schema.
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "BINARY"
        | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" | "ENUM" | "SET" => {
            let bytes = <Vec<u8> as Decode<sqlx::MySql>>::decode(value);
            let text = String::from_utf8(bytes.map_err(|_| refuse("is no text"))?);
            text.map(Value::Text).map_err(|_| refuse("is no valid UTF-8: wrap it in hex()"))
        }
        other => Err(refuse(&format!("is {other}: cast it to char"))),
    }
}
