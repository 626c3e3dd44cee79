//! The lists, of words. `docs/batching.md#known-functions` shows those of the safe ones; a test
//! compares.

pub(super) const CLOCK: &str = "
    now current_timestamp current_date current_time localtime localtimestamp
    transaction_timestamp statement_timestamp curdate curtime utc_date utc_time utc_timestamp
";

pub(super) const ASKER: &str = "
    current_user session_user system_user user current_role current_catalog current_schema
";

/// Differ from row to row in the whole statement as well.
pub(super) const POSTGRES_VARYING: &str = "
    clock_timestamp gen_random_uuid nextval random random_normal timeofday uuidv4 uuidv7
";

pub(super) const MYSQL_VARYING: &str = "
    nextval rand random_bytes sys_guid sysdate uuid uuid_short uuid_v4 uuid_v7
";

pub(super) const SQLITE_VARYING: &str = "random randomblob";

/// Depend on what the session did before, or are an extension's, and may be the user's own.
pub(super) const VOLATILE: &str = "
    gen_random_bytes gen_salt uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 setval lastval
    currval last_insert_id last_insert_rowid
";

pub(super) const WINDOW: &str = "
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value
";

pub(super) const AGGREGATES: &str = "count sum avg min max";

pub(super) const COMMON: &str = "
    abs coalesce concat concat_ws lower ltrim nullif octet_length replace round rtrim sign substr
    substring trim upper length
";

/// Not in SQLite as lockkeeper brings it.
pub(super) const MATHS: &str = "
    acos asin atan atan2 ceil ceiling cos degrees exp floor ln mod pi pow power radians sin sqrt tan
";

pub(super) const POSTGRES: &str = "
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

pub(super) const POSTGRES_AGGREGATES: &str = "
    any_value array_agg bit_and bit_or bit_xor bool_and bool_or corr every json_agg
    json_object_agg jsonb_agg jsonb_object_agg mode percentile_cont percentile_disc stddev
    stddev_pop stddev_samp string_agg var_pop var_samp variance
";

pub(super) const MYSQL: &str = "
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

pub(super) const MYSQL_AGGREGATES: &str = "
    any_value bit_and bit_or bit_xor group_concat json_arrayagg json_objectagg std stddev
    stddev_pop stddev_samp var_pop var_samp variance
";

pub(super) const SQLITE: &str = "
    char date datetime format glob hex ifnull iif if instr json json_array json_array_length
    json_error_position json_extract json_insert json_object json_patch json_pretty json_quote
    json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_extract
    jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set julianday like
    likelihood likely printf quote soundex strftime time timediff typeof unhex unicode unistr
    unistr_quote unixepoch unlikely zeroblob
";

pub(super) const SQLITE_AGGREGATES: &str = "
    group_concat json_group_array json_group_object jsonb_group_array jsonb_group_object string_agg
    total
";

/// What SQLite has besides: they look at the session, at an index or outside of the database, or
/// are of no use in a batch.
pub(super) const SQLITE_UNPROVED: &str = "
    bm25 changes fts3_tokenizer fts5 fts5_get_locale fts5_insttoken fts5_locale fts5_source_id
    highlight load_extension match matchinfo offsets optimize rtreecheck rtreedepth rtreenode snippet
    sqlite_compileoption_get sqlite_compileoption_used sqlite_log sqlite_source_id sqlite_version
    subtype total_changes
";
