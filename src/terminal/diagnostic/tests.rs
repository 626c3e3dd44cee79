use super::*;

fn place(text: &str, spot: &str, label: &str) -> Place {
    let start = text.find(spot).unwrap();
    Place {
        path: "migrations/V42__fill_new_column.sql".into(),
        text: text.into(),
        span: start..start + spot.len(),
        label: label.into(),
    }
}

#[test]
fn a_failing_statement_shows_file_line_caret_and_notes() {
    let text =
        "-- lockkeeper: batch\n\nUPDATE some_table\nSET new_column = refered_colum\nWHERE true;\n";
    let explanation = Explanation::at(place(text, "refered_colum", ""))
        .note("kept", "migration 41; step 1 of 42")
        .note("rolled back", "the open batch of step 2")
        .note("next", "mend line 4,\nthen `lockkeeper up` again");
    let message =
        "migration 42, step 2 of 3 failed: column \"refered_colum\" does not exist (42703)";
    let rendered = render(message, &explanation, false);
    let expected = "\
error: migration 42, step 2 of 3 failed: column \"refered_colum\" does not exist (42703)
  ╭▸ migrations/V42__fill_new_column.sql:4:18
  │
4 │ SET new_column = refered_colum
  ╰╴                 ━━━━━━━━━━━━━
    kept:        migration 41; step 1 of 42
    rolled back: the open batch of step 2
    next:        mend line 4,
                 then `lockkeeper up` again
";
    assert_eq!(rendered, expected);
    assert!(render(message, &explanation, true).contains("\u{1b}["));
}

#[test]
fn without_a_place_there_is_only_the_message() {
    assert_eq!(
        render("no such directory\x1b[2J", &Explanation::default(), false),
        "error: no such directory\\u{1b}[2J\n"
    );
}

#[test]
fn a_label_stands_beside_its_spot() {
    let place = place("a\nb FROM players p", "FROM", "later batches would see it");
    let rendered = render("refused", &Explanation::at(place), false);
    assert!(rendered.contains("2 │ b FROM players p"), "{rendered}");
    assert!(rendered.contains("━━━━ later batches would see it"), "{rendered}");
}

#[test]
fn a_huge_line_is_cut_around_the_spot_and_keeps_its_column() {
    let text = format!("--\n{} HERE {}", "ä".repeat(5_000_000), "b,".repeat(5_000_000));
    let rendered = render("refused", &Explanation::at(place(&text, "HERE", "")), false);
    assert!(rendered.len() < 2_000, "{}", rendered.len());
    assert!(rendered.contains(":2:5000002\n"), "{rendered}");
    assert!(rendered.contains("HERE") && rendered.contains("━━━━"), "{rendered}");
}

#[test]
fn no_span_makes_it_panic() {
    let text = "a\r\nbä\r\n\r\nc\td\x1b[2J\n";
    for start in 0..text.len() + 3 {
        for end in 0..text.len() + 3 {
            #[allow(clippy::reversed_empty_ranges)]
            let place = Place {
                path: "x.sql".into(),
                text: text.into(),
                span: start..end,
                label: "l".into(),
            };
            let rendered = render("m", &Explanation::at(place), false);
            assert!(rendered.contains("x.sql:") && !rendered.contains('\u{1b}'), "{rendered}");
        }
    }
    let empty = Place { path: "x.sql".into(), text: "".into(), span: 0..0, label: String::new() };
    assert!(render("m", &Explanation::at(empty), false).contains("x.sql:1:1"));
}

#[test]
fn a_statement_of_many_lines_is_shown_in_part() {
    let text = "x\n".repeat(100_000);
    let place = Place {
        path: "x.sql".into(),
        span: 2..text.len(),
        text: text.into(),
        label: String::new(),
    };
    let rendered = render("m", &Explanation::at(place), false);
    assert!(rendered.lines().count() < 15, "{rendered}");
}
