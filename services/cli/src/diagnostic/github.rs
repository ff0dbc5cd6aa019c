//! Commands by which a step of GitHub Actions annotates lines of a change.
//! Source: GitHub documentation, "Workflow commands for GitHub Actions".

use super::Diagnostic;

/// `::error file=f,line=1,col=2,title=t::message`.
pub fn command(diagnostic: &Diagnostic) -> String {
    let mut properties = vec![format!("file={}", property(&diagnostic.file))];
    if let Some((line, column)) = diagnostic.position() {
        properties.push(format!("line={line},col={column}"));
    }
    properties.push(format!("title={}", property(diagnostic.rule.unwrap_or("argosy lint"))));
    format!("::{} {}::{}", diagnostic.severity(), properties.join(","), message(&diagnostic.words()))
}

/// A text that must stay on its line.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A text between the commas.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        let diagnostic = Diagnostic {
            path: "spec".to_owned(),
            warning: true,
            rule: Some("image-tag"),
            ..Diagnostic::of_file("a,b:c.yaml", "100%\n::error::gone")
        };
        assert_eq!(command(&diagnostic), "::warning file=a%2Cb%3Ac.yaml,title=image-tag::spec: 100%25%0A::error::gone");
    }
}
