//! Which functions are known, by engine: what isn't on a list is refused.
//!
//! On the lists are built-in functions whose result depends on their arguments alone (and on
//! settings of the session, which are the same for each batch). A function that isn't listed may
//! be of the user's own, and read anything.

use crate::db::Engine;
use crate::nearest::nearest;

/// What is known of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Depends on its arguments alone.
    RowLocal,
    /// Sees many rows: fine in a subquery over other tables only.
    Aggregate,
    /// Sees neighbouring rows: likewise, with or without `OVER`.
    Window,
    /// Tells the time, or who asks: differs from batch to batch.
    Clock,
    /// Another answer at each call.
    Volatile,
    /// Not known.
    Unknown,
}

/// What is known of `name` (in lower case, without a schema), called with so many arguments.
pub(super) fn nature(engine: Engine, name: &str, arguments: usize) -> Nature {
    if clock_without_argument(engine, name, arguments) || lists(CLOCK, name) {
        return Nature::Clock;
    }
    if lists(VOLATILE, name) {
        return Nature::Volatile;
    }
    if lists(WINDOW, name) {
        return Nature::Window;
    }
    let aggregate = match engine {
        Engine::Postgres => POSTGRES_AGGREGATES,
        Engine::MySql => MYSQL_AGGREGATES,
        Engine::Sqlite => SQLITE_AGGREGATES,
    };
    // SQLite's min(a, b) compares its arguments, and min(a) is the aggregate.
    if engine == Engine::Sqlite && matches!(name, "min" | "max") && arguments > 1 {
        return Nature::RowLocal;
    }
    if lists(AGGREGATES, name) || lists(aggregate, name) {
        return Nature::Aggregate;
    }
    if lists(COMMON, name) || lists(row_local(engine), name) {
        return Nature::RowLocal;
    }
    Nature::Unknown
}

/// The function that may have been meant by an unknown name, of those that are safe anywhere.
pub(super) fn nearest_safe(engine: Engine, name: &str) -> Option<&'static str> {
    nearest(name, [COMMON, row_local(engine)].into_iter().flat_map(str::split_ascii_whitespace))
}

/// The engine's own functions that depend on their arguments alone.
fn row_local(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => POSTGRES,
        Engine::MySql => MYSQL,
        Engine::Sqlite => SQLITE,
    }
}

/// Whether the list, of words, has the name.
fn lists(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|word| word == name)
}

/// Functions that take "now" for an argument that isn't given.
fn clock_without_argument(engine: Engine, name: &str, arguments: usize) -> bool {
    match (engine, name) {
        (Engine::Postgres, "age") => arguments < 2,
        (Engine::MySql, "unix_timestamp") => arguments == 0,
        (Engine::Sqlite, "strftime") => arguments < 2,
        (Engine::Sqlite, _) => arguments == 0 && lists(SQLITE_DATES, name),
        _ => false,
    }
}

/// Whether a literal `'now'` among the arguments means the time.
pub(super) fn reads_now(engine: Engine, name: &str) -> bool {
    engine == Engine::Sqlite && (lists(SQLITE_DATES, name) || name == "timediff")
}

const SQLITE_DATES: &str = "date time datetime julianday unixepoch strftime";

const CLOCK: &str = "
    now current_timestamp current_date current_time localtime localtimestamp
    transaction_timestamp statement_timestamp clock_timestamp timeofday sysdate curdate
    curtime utc_date utc_time utc_timestamp current_user session_user system_user user
    current_role current_catalog current_schema
";

const VOLATILE: &str = "
    random rand random_normal randomblob random_bytes gen_random_bytes gen_random_uuid
    gen_salt uuid uuid_short uuid_v4 uuid_v7 uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc
    uuid_generate_v4 sys_guid nextval setval lastval currval last_insert_id last_insert_rowid
";

const WINDOW: &str = "
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value
";

const AGGREGATES: &str = "count sum avg min max";

const COMMON: &str = "
    abs acos asin atan atan2 ceil ceiling coalesce concat concat_ws cos degrees exp floor ln
    lower ltrim mod nullif octet_length pi pow power radians replace round rtrim sign sin sqrt
    substr substring tan trim upper length
";

const POSTGRES: &str = "
    cbrt cot div erf factorial gcd lcm log log10 min_scale scale to_number trim_scale trunc
    width_bucket to_hex greatest least num_nulls num_nonnulls
    ascii bit_length btrim char_length character_length chr convert_from convert_to decode
    encode format get_bit get_byte initcap left lpad md5 normalize overlay position
    quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like
    regexp_match regexp_replace regexp_split_to_array regexp_substr repeat reverse right rpad
    set_bit set_byte sha224 sha256 sha384 sha512 split_part starts_with strpos to_char
    translate unistr
    age date_bin date_part date_trunc extract isfinite justify_days justify_hours
    justify_interval make_date make_interval make_time make_timestamp make_timestamptz
    timezone to_date to_timestamp
    array_to_json json_array_length json_build_array json_build_object json_extract_path
    json_extract_path_text json_object json_strip_nulls json_typeof jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text
    jsonb_insert jsonb_object jsonb_path_exists jsonb_path_match jsonb_path_query_array
    jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_typeof
    row_to_json to_json to_jsonb
    array array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_to_string
    array_upper cardinality daterange int4range int8range isempty lower_inc lower_inf numrange
    phraseto_tsquery plainto_tsquery row setweight string_to_array strip to_tsquery
    to_tsvector trim_array ts_rank tsrange tstzrange upper_inc upper_inf websearch_to_tsquery
";

const POSTGRES_AGGREGATES: &str = "
    any_value array_agg bit_and bit_or bit_xor bool_and bool_or corr every json_agg
    json_object_agg jsonb_agg jsonb_object_agg mode percentile_cont percentile_disc stddev
    stddev_pop stddev_samp string_agg var_pop var_samp variance
";

const MYSQL: &str = "
    bin bit_count conv cot crc32 hex log log10 log2 oct truncate unhex greatest least if
    ifnull interval isnull nvl nvl2
    ascii bin_to_uuid bit_length char char_length character_length chr elt export_set field
    find_in_set format from_base64 inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr
    is_uuid lcase left locate lpad make_set md5 mid ord position quote regexp_instr
    regexp_like regexp_replace regexp_substr repeat reverse right rpad sha sha1 sha2 soundex
    space strcmp substring_index to_base64 ucase uuid_to_bin
    adddate addtime convert_tz date date_add date_format date_sub datediff day dayname
    dayofmonth dayofweek dayofyear extract from_days from_unixtime get_format hour last_day
    makedate maketime microsecond minute month monthname period_add period_diff quarter
    sec_to_time second str_to_date subdate subtime time time_format time_to_sec timediff
    timestampadd timestampdiff to_days to_seconds unix_timestamp week weekday weekofyear year
    yearweek
    json_array json_array_append json_array_insert json_compact json_contains
    json_contains_path json_depth json_exists json_extract json_insert json_keys json_length
    json_merge_patch json_merge_preserve json_object json_query json_quote json_remove
    json_replace json_search json_set json_type json_unquote json_valid json_value
";

const MYSQL_AGGREGATES: &str = "
    any_value bit_and bit_or bit_xor group_concat json_arrayagg json_objectagg std stddev
    stddev_pop stddev_samp var_pop var_samp variance
";

const SQLITE: &str = "
    char date datetime format glob hex ifnull iif if instr json json_array json_array_length
    json_extract json_insert json_object json_patch json_quote json_remove json_replace
    json_set json_type json_valid jsonb jsonb_array jsonb_extract jsonb_insert jsonb_object
    jsonb_patch jsonb_remove jsonb_replace jsonb_set julianday like likelihood likely log
    log10 log2 printf quote soundex strftime time timediff trunc typeof unhex unicode unistr
    unixepoch unlikely zeroblob
";

const SQLITE_AGGREGATES: &str =
    "group_concat json_group_array json_group_object median string_agg total";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_arguments_can_turn_a_function_into_a_clock() {
        assert_eq!(nature(Engine::Postgres, "age", 2), Nature::RowLocal);
        assert_eq!(nature(Engine::Postgres, "age", 1), Nature::Clock);
        assert_eq!(nature(Engine::MySql, "unix_timestamp", 1), Nature::RowLocal);
        assert_eq!(nature(Engine::MySql, "unix_timestamp", 0), Nature::Clock);
        assert_eq!(nature(Engine::Sqlite, "datetime", 0), Nature::Clock);
        assert_eq!(nature(Engine::Sqlite, "strftime", 1), Nature::Clock);
        assert_eq!(nature(Engine::Sqlite, "max", 2), Nature::RowLocal);
        assert_eq!(nature(Engine::Sqlite, "max", 1), Nature::Aggregate);
    }

    #[test]
    fn only_what_is_safe_is_offered_for_a_misspelt_name() {
        for (engine, name, offered) in [
            (Engine::Sqlite, "lowr", Some("lower")),
            (Engine::MySql, "ucas", Some("ucase")),
            (Engine::Postgres, "ucas", None),
            (Engine::Postgres, "randon", None),
            (Engine::Postgres, "own_function", None),
        ] {
            assert_eq!(nearest_safe(engine, name), offered, "{engine} {name}");
        }
    }

    #[test]
    fn no_function_is_on_two_lists() {
        for engine in [Engine::Postgres, Engine::MySql, Engine::Sqlite] {
            let lists = match engine {
                Engine::Postgres => [POSTGRES, POSTGRES_AGGREGATES],
                Engine::MySql => [MYSQL, MYSQL_AGGREGATES],
                Engine::Sqlite => [SQLITE, SQLITE_AGGREGATES],
            };
            let mut names: Vec<_> =
                lists.into_iter().flat_map(str::split_ascii_whitespace).collect();
            let common = [COMMON, CLOCK, VOLATILE, WINDOW, AGGREGATES];
            names.extend(common.into_iter().flat_map(str::split_ascii_whitespace));
            names.sort_unstable();
            for pair in names.windows(2) {
                assert_ne!(pair[0], pair[1], "{engine}");
            }
        }
    }
}
