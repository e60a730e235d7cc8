//! Lists in pages. Each page is turned into views before the next is asked for, so that a list of 5,000 nodes, 100 MB on
//! the wire, never takes more memory than one page and the views.

use http::Request;
use kube::core::params::{GetParams, ListParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::call::CallError;
use super::kinds::Kind;

/// Objects per page.
const PAGE: u32 = 250;

/// What to list.
#[derive(Clone, Debug)]
pub struct Query {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty: all.
    pub namespace: String,
    /// Label selector; empty: none.
    pub labels: String,
    /// Field selector; empty: none.
    pub fields: String,
    /// Only the metadata.
    pub metadata_only: bool,
    /// Objects per page.
    pub page: u32,
}

impl Query {
    /// All objects of a kind, in all namespaces.
    pub fn all(kind: Kind) -> Self {
        Self { kind, namespace: String::new(), labels: String::new(), fields: String::new(), metadata_only: false, page: PAGE }
    }

    /// With a label selector.
    pub fn labels(self, labels: impl Into<String>) -> Self {
        Self { labels: labels.into(), ..self }
    }

    /// With a field selector.
    pub fn fields(self, fields: impl Into<String>) -> Self {
        Self { fields: fields.into(), ..self }
    }

    fn request(&self, token: Option<&str>) -> Result<Request<Vec<u8>>, CallError> {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        // Never resourceVersion=0: what the apiserver's cache does not show yet may exist.
        let params = ListParams {
            label_selector: text(&self.labels),
            field_selector: text(&self.fields),
            limit: Some(self.page),
            continue_token: token.map(str::to_string),
            ..ListParams::default()
        };
        let at = kube::core::Request::new(self.kind.path(&self.namespace));
        Ok(if self.metadata_only { at.list_metadata(&params)? } else { at.list(&params)? })
    }
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    /// An empty list of bare metadata says null here.
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

impl Cluster {
    /// Lists objects, decoded as `T` and turned into views page by page.
    ///
    /// # Errors
    /// When a page cannot be had; a list whose token expired is begun again once.
    pub async fn list<T: DeserializeOwned, V>(&self, query: &Query, view: impl Fn(T) -> V) -> Result<Vec<V>, CallError> {
        let mut views = Vec::new();
        let mut token = None::<String>;
        let mut restarted = false;
        loop {
            let page: Page<T> = match self.fetch(query.request(token.as_deref())?).await {
                Ok(page) => page,
                Err(error) if token.is_some() && !restarted && matches!(error.code(), Some(400 | 410)) => {
                    restarted = true;
                    token = None;
                    views.clear();
                    continue;
                }
                Err(error) => return Err(error),
            };
            views.extend(page.items.into_iter().flatten().map(&view));
            if page.metadata.next.is_empty() {
                return Ok(views);
            }
            token = Some(page.metadata.next);
        }
    }

    /// Looks at one object; None if there is none.
    ///
    /// # Errors
    /// When there is no clear answer.
    pub async fn look<T: DeserializeOwned>(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        metadata_only: bool,
    ) -> Result<Option<T>, CallError> {
        let at = kube::core::Request::new(kind.path(namespace));
        let params = GetParams::default();
        let request = if metadata_only { at.get_metadata(name, &params)? } else { at.get(name, &params)? };
        match self.fetch(request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
