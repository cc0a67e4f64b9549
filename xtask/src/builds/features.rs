//! Each feature of each crate alone, none, the usual ones.
//!
//! The whole workspace is linted with all features: code that is there without one of them is not seen there.

use super::cargo;
use super::metadata::Package;

pub(super) fn run(packages: &[Package]) -> anyhow::Result<()> {
    let builds: Vec<_> = packages.iter().flat_map(of).collect();
    for (package, features) in &builds {
        cargo(|cargo| {
            cargo.args(["clippy", "--locked", "--quiet", "--package", package]).args(features);
            cargo.args(["--", "-D", "warnings"]);
        })?;
    }
    println!("{} builds with other features", builds.len());
    Ok(())
}

/// How a package can be built; one without features is built one way, which is linted elsewhere.
fn of(package: &Package) -> Vec<(&str, Vec<&str>)> {
    let features = &package.features;
    if features.is_empty() {
        return Vec::new();
    }
    let mut ways = vec![vec!["--no-default-features"]];
    let alone = |feature| vec!["--no-default-features", "--features", feature];
    ways.extend(features.iter().map(|feature| alone(feature.as_str())));
    if package.has_default {
        ways.push(Vec::new());
    }
    ways.into_iter().map(|way| (package.name.as_str(), way)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::tests::package;
    use super::*;

    #[test]
    fn each_feature_is_built_alone() {
        assert!(of(&package("crates/a", &[], false)).is_empty());
        let ways = |features: &[&str], default| -> Vec<String> {
            let package = package("crates/a", features, default);
            of(&package).into_iter().map(|(_, way)| way.join(" ")).collect()
        };
        let (none, x) = ("--no-default-features", "--no-default-features --features x");
        assert_eq!(ways(&["x"], false), [none, x]);
        assert_eq!(ways(&["x"], true), [none, x, ""]);
        let y = "--no-default-features --features y";
        assert_eq!(ways(&["x", "y"], false), [none, x, y]);
    }
}
