//! Companies with many services. What is calm towards all that one of them offers is blind to most of what could leave.

use super::Catalogue;
use super::pattern::glob_matches;

/// A company and its services.
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// What people call all of it; none is the id of a service.
    words: &'static [&'static str],
    /// Ids of services, with `*`.
    services: &'static [&'static str],
}

pub(super) static PROVIDERS: &[Provider] = &[
    Provider { name: "Amazon", words: &["amazon", "aws"], services: &["aws_*", "amazon_drive"] },
    Provider {
        name: "Microsoft",
        words: &["microsoft", "microsoft_365", "m365", "office", "office365", "o365", "azure", "ms"],
        services: &[
            "azure_*",
            "ms_*",
            "onedrive*",
            "sharepoint*",
            "teams*",
            "exchange_online",
            "outlook*",
            "onenote",
            "sway_forms",
        ],
    },
    Provider {
        name: "Google",
        words: &["google", "gsuite", "google_workspace", "google_cloud", "gcp"],
        services: &["google_*", "gcp_*", "gcs", "gar_gcr", "gmail", "gemini", "firebase", "youtube"],
    },
    Provider { name: "Alibaba", words: &["alibaba", "aliyun"], services: &["alibaba_*", "aliyun_*"] },
    Provider { name: "Cloudflare", words: &["cloudflare"], services: &["cloudflare*"] },
    Provider { name: "Yandex", words: &["yandex"], services: &["yandex_*"] },
    Provider { name: "Zoho", words: &["zoho"], services: &["zoho_*"] },
    Provider { name: "Proton", words: &["proton"], services: &["proton_*"] },
    Provider { name: "Huawei", words: &["huawei"], services: &["huawei_*"] },
    Provider { name: "Mail.ru", words: &["mailru", "mail.ru"], services: &["mailru_*"] },
];

impl Provider {
    /// The one that is meant by a word for all of it.
    pub(super) fn meant(word: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|p| p.words.iter().any(|w| w.eq_ignore_ascii_case(word.trim())))
    }

    /// Whether a service, by its id, is one of its.
    pub(super) fn offers(&self, slug: &str) -> bool {
        self.services.iter().any(|glob| glob_matches(glob, slug))
    }

    /// Ids of its services.
    pub(super) fn services<'c>(&'c self, catalogue: &'c Catalogue) -> impl Iterator<Item = &'c str> {
        catalogue.services().filter(|s| !s.of_site && self.offers(&s.slug)).map(|s| s.slug.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_services_and_no_word_is_one() {
        let catalogue = &Catalogue::builtin();
        for provider in PROVIDERS {
            assert!(provider.services(catalogue).count() >= 2, "{}", provider.name);
            let stale = |glob: &&&str| !catalogue.services().any(|s| glob_matches(glob, &s.slug));
            assert_eq!(provider.services.iter().find(stale), None, "{}", provider.name);
            let taken = provider.words.iter().find(|word| catalogue.find(word).is_some());
            assert_eq!(taken, None, "{}", provider.name);
        }
    }
}
