//! Events over real connections: what a receiver gets, and to whom nothing is sent.

use charter_app::webhook::target::{AddressRange, Names, Resolving, Rules};
use charter_app::webhook::{Answer, Courier, Parcel};
use charter_courier::Hooks;
use charter_testkit::receiver::{Receiver, Reception};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Names that lead where the test says, the n-th time to the n-th place.
struct Told(Vec<Vec<IpAddr>>, AtomicUsize);

impl Told {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|all| all.iter().map(|text| text.parse().unwrap()).collect());
        Arc::new(Self(answers.collect(), AtomicUsize::new(0)))
    }
}

impl Names for Told {
    fn resolve<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        let at = self.1.fetch_add(1, Ordering::AcqRel).min(self.0.len() - 1);
        Box::pin(async move { Ok(self.0[at].clone()) })
    }
}

fn parcel(url: String) -> Parcel {
    Parcel {
        url,
        id: "evt_1".to_owned(),
        timestamp: 1_800_000_000,
        signature: "v1,abc".to_owned(),
        body: r#"{"type":"grant.give"}"#.to_owned(),
    }
}

fn open() -> Rules {
    Rules { allows_http: true, ..Rules::default() }
}

/// What lets a test reach its own receiver.
fn here() -> Rules {
    Rules { networks: vec![AddressRange::parse("127.0.0.1").unwrap()], ..open() }
}

fn hooks(rules: Rules, names: Arc<dyn Names>) -> Hooks {
    Hooks::with_patience(rules, names, Duration::from_secs(3)).unwrap()
}

#[tokio::test]
async fn a_receiver_gets_the_message_with_its_signature() {
    let receiver = Receiver::start(Reception::Answers(204));
    let names = Told::new(&[&["127.0.0.1"]]);
    let hooks = hooks(here(), names);
    let url = format!("http://hooks.example.com:{}/charter?to=us", receiver.port());
    assert_eq!(hooks.deliver(&parcel(url)).await, Answer::Status(204));
    let requests = receiver.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.line, "POST /charter?to=us HTTP/1.1");
    for (name, value) in [
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", "1800000000"),
        ("webhook-signature", "v1,abc"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(request.header(name), value);
    }
    assert!(request.header("user-agent").starts_with("Charter-Webhooks/"));
    assert_eq!(request.body, r#"{"type":"grant.give"}"#);
}

/// Attack 114, at connect: written out, behind a name, behind one of several answers, and behind a name that leads elsewhere later.
#[tokio::test]
async fn nothing_connects_to_an_inner_address_whatever_it_hides_behind() {
    let receiver = Receiver::start(Reception::Answers(200));
    let port = receiver.port();
    let refused = async |rules: Rules, names: Arc<Told>, url: String| {
        let outcome = hooks(rules, names).deliver(&parcel(url.clone())).await;
        assert!(matches!(outcome, Answer::None(_)), "{url}: {outcome:?}");
    };
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "localhost",
    ] {
        refused(open(), Told::new(&[&["127.0.0.1"]]), format!("http://{host}:{port}/")).await;
    }
    for answers in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["0.0.0.0"],
        &["169.254.169.254"],
        &["::ffff:169.254.169.254"],
        &["10.0.0.1"],
        &["93.184.215.14", "127.0.0.1"],
    ] {
        refused(open(), Told::new(&[answers]), format!("http://hooks.example.com:{port}/")).await;
    }
    // The name was public when it was saved, and is not when it is connected to: what counts is the address connected to.
    let rebinding = Told::new(&[&["93.184.215.14"], &["127.0.0.1"]]);
    let rules = Rules { names: Some(Arc::<Told>::clone(&rebinding) as Arc<dyn Names>), ..open() };
    let url = format!("http://hooks.example.com:{port}/");
    rules.read_and_resolve(&url).await.unwrap();
    refused(rules, rebinding, url).await;
    for url in ["file:///etc/passwd", "gopher://127.0.0.1/", "http://ann:secret@hooks.example.com/"] {
        refused(here(), Told::new(&[&["127.0.0.1"]]), url.to_owned()).await;
    }
    assert_eq!((receiver.connections(), receiver.requests()), (0, Vec::new()));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_saved() {
    let rules = |answers: &[&str]| Rules { names: Some(Told::new(&[answers])), ..Rules::default() };
    let url = "https://hooks.example.com/";
    assert!(
        rules(&["10.0.0.1"]).read_and_resolve(url).await.unwrap_err().contains("leads to a private address")
    );
    assert!(rules(&["93.184.215.14", "::1"]).read_and_resolve(url).await.is_err());
    rules(&["93.184.215.14"]).read_and_resolve(url).await.unwrap();
    rules(&[]).read_and_resolve(url).await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let inner = Receiver::start(Reception::Answers(200));
    let receiver = Receiver::start(Reception::Redirects(format!("http://127.0.0.1:{}/", inner.port())));
    let hooks = hooks(here(), Told::new(&[&["127.0.0.1"]]));
    let url = format!("http://hooks.example.com:{}/", receiver.port());
    assert_eq!(hooks.deliver(&parcel(url)).await, Answer::Status(307));
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_hangs_up_or_never_ends_holds_nobody() {
    let receiver = Receiver::start(Reception::Hangs);
    let url = format!("http://hooks.example.com:{}/?key=sesame", receiver.port());
    let hooks = hooks(here(), Told::new(&[&["127.0.0.1"]]));
    for reception in [Reception::Hangs, Reception::HangsUp] {
        receiver.behave(reception);
        let outcome = hooks.deliver(&parcel(url.clone())).await;
        assert!(matches!(&outcome, Answer::None(why) if !why.contains("sesame")), "{outcome:?}");
    }
    receiver.behave(Reception::Babbles);
    assert_eq!(hooks.deliver(&parcel(url.clone())).await, Answer::Status(200));
    receiver.behave(Reception::Answers(500));
    assert_eq!(hooks.deliver(&parcel(url)).await, Answer::Status(500));
}
