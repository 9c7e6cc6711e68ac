//! Input that is no ruleset, or far too much of one: a message, in bounded time and memory.

use std::io::Read;
use std::path::Path;

use fw_user::rules::{Loaded, Options, load_file, load_from, load_text};

/// The first message, which must be an error.
fn said(loaded: &Loaded) -> String {
    assert!(loaded.ruleset.is_none());
    loaded.report.headline(loaded.report.messages()[0])
}

#[test]
fn a_file_that_is_too_large_is_not_read_to_its_end() {
    let endless = std::io::repeat(b'#').take(1 << 40);
    let loaded = load_from("big", None, endless, &Options::default());
    assert!(
        said(&loaded).contains("more than 64 MiB"),
        "{}",
        said(&loaded)
    );
}

#[test]
fn binary_data_are_no_text() {
    for bytes in [
        &b"\x7fELF\x02\x01\x01\x00\xff"[..],
        b"table inet t {\0}",
        b"\xff\xfe",
    ] {
        let loaded = load_from("binary", None, bytes, &Options::default());
        assert!(
            said(&loaded).contains("not a text file"),
            "{}",
            said(&loaded)
        );
    }
}

#[test]
fn a_file_that_is_not_there() {
    let loaded = load_file(Path::new("/no/such/file.nft"), &Options::default());
    let said = said(&loaded);
    assert!(
        said.starts_with("/no/such/file.nft:1:1-1: Error: can't read it"),
        "{said}"
    );
}

#[test]
fn files_that_include_each_other() {
    let dir = std::env::temp_dir().join(format!("fwctl-include-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("a.nft"), "include \"./b.nft\"\n").expect("a file");
    std::fs::write(
        dir.join("b.nft"),
        "include \"./a.nft\"\ninclude \"./a.nft\"\n",
    )
    .expect("a file");
    let loaded = load_file(&dir.join("a.nft"), &Options::default());
    let said = said(&loaded);
    std::fs::remove_dir_all(&dir).expect("removing it");
    assert!(said.contains("include each other in a circle"), "{said}");
}

#[test]
fn variables_that_multiply() {
    let mut text = String::from("define v0 = { 1, 2, 3, 4, 5, 6, 7, 8 }\n");
    for level in 1..12 {
        let before = format!("$v{}", level - 1);
        let list = [before.as_str(); 8].join(", ");
        text.push_str(&format!("define v{level} = {{ {list} }}\n"));
    }
    text.push_str("table inet t { chain c { tcp dport $v11 accept; }; }\n");
    let loaded = load_text("bomb", &text);
    assert!(
        said(&loaded).contains("too many elements"),
        "{}",
        said(&loaded)
    );
}

#[test]
fn nesting_has_an_end() {
    for open in ["(", "{", "jump { "] {
        let text = format!(
            "table inet t {{ chain c {{ meta mark {} \n}}\n}}\n",
            open.repeat(100_000)
        );
        assert!(load_text("deep", &text).ruleset.is_none());
    }
}

#[test]
fn mistakes_without_number_are_counted_not_listed() {
    let text = "x y z\n".repeat(100_000);
    let loaded = load_text("many", &text);
    assert!(loaded.report.messages().len() <= 100);
}

#[test]
fn every_jump_too_deep_is_refused() {
    let mut text = String::from("table inet t {\n");
    for level in (0..20).rev() {
        let next = if level == 19 {
            "accept".into()
        } else {
            format!("jump c{}", level + 1)
        };
        text.push_str(&format!("chain c{level} {{ {next}; }}\n"));
    }
    text.push_str("chain base { type filter hook input priority 0; jump c0; }\n}\n");
    let loaded = load_text("jumps", &text);
    assert!(
        said(&loaded).contains("too many jumps"),
        "{}",
        said(&loaded)
    );
}

#[test]
fn doubts_are_no_mistakes() {
    let text =
        "table inet t { chain c { tcp dport 22 accept; tcp dport 22 drop; accept; drop; }; }\n";
    let loaded = load_text("doubts", text);
    assert!(loaded.ruleset.is_some());
    let messages = loaded.report.messages();
    assert_eq!(messages.len(), 2, "{}", loaded.report.render(false));
    assert!(
        messages
            .iter()
            .all(|message| message.message == "no packet gets here")
    );
}

/// What is said of a file.
fn headlines(name: &str, text: &str) -> Vec<String> {
    let report = load_text(name, text).report;
    let messages = report.messages().into_iter();
    messages.map(|message| report.headline(message)).collect()
}

#[test]
fn line_ends_of_dos_are_told_once() {
    let text = "# one\r\ntable inet t {\r\n\tchain c {\r\n\t\ttcp dport 22 acept\r\n\t}\r\n}\r\n";
    let said = headlines("dos.nft", text);
    let expected = [
        "dos.nft:2:15-15: Error: lines end as those of DOS do",
        "dos.nft:4:16-20: Error: syntax error, unexpected `acept`",
    ];
    assert_eq!(said, expected);
    // In comments nft takes them.
    let text = "# one\r\ntable inet t { # two\r\n}\n";
    assert!(load_text("comments.nft", text).ruleset.is_some());
}

#[test]
fn braces_that_are_missing_hide_no_other_mistakes() {
    let text = "\
table inet t {
	chain c {
		tcp dport 99999 accept
		jump nowhere
		ip saddr @nothing drop
";
    let said = headlines("open.nft", text);
    let expected = [
        "open.nft:3:13-17: Error: Value 99999 exceeds valid range 0-65535",
        "open.nft:4:8-14: Error: no chain `nowhere` in this table",
        "open.nft:5:13-19: Error: no set `nothing` in this table",
        "open.nft:5:25-25: Error: syntax error, unexpected end of file",
    ];
    assert_eq!(said, expected);
}
