//! What goes in, and what must come out.

use super::*;

/// What goes in, and what must come out.
#[track_caller]
fn same(cases: &[(&str, &str)]) {
    for (given, wanted) in cases {
        assert_eq!(redact(given), *wanted, "from {given}");
        assert_eq!(redact(wanted), *wanted, "a second time");
    }
}

#[test]
fn values_beside_names() {
    same(&[
        ("x --password hunter2 -v", "x --password *** -v"),
        ("x --password=hunter2", "x --password=***"),
        ("x --password='a b' y", "x --password='***' y"),
        ("x /password:hunter2 /user:bob", "x /password:*** /user:bob"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG aws s3 ls", "AWS_SECRET_ACCESS_KEY=*** aws s3 ls"),
        ("$env:GH_TOKEN=\"abc\"; gh pr list", "$env:GH_TOKEN=\"***\"; gh pr list"),
        ("$password = 'Summer 2026'", "$password = '***'"),
        (
            "-d {\"user\":\"bob\",\"password\":\"x\\\"y\",\"n\":1}",
            "-d {\"user\":\"bob\",\"password\":\"***\",\"n\":1}",
        ),
        (r#"-d "{\"apiKey\":\"abc\",\"a\":2}""#, r#"-d "{\"apiKey\":\"***\",\"a\":2}""#),
        ("-H 'X-Api-Key: abc def' u", "-H 'X-Api-Key: ***' u"),
        ("mount -o username=bob,password=x,vers=3 //h/s", "mount -o username=bob,password=***,vers=3 //h/s"),
        ("Server=db;User=sa;Password=x;App=y", "Server=db;User=sa;Password=***;App=y"),
        ("\"password=a b\" c", "\"password=***\" c"),
        ("curl -b 'sid=1; t=2' -H 'Cookie: a=b; c=d' u", "curl -b 'sid=***' -H 'Cookie: ***' u"),
        ("curl -H Cookie: a=b; c=d https://h", "curl -H Cookie: *** https://h"),
        ("%22password%22%3A%22x%22", "%22password%22%3A%22***%22"),
    ]);
}

#[test]
fn headers_with_a_scheme() {
    same(&[
        ("curl -H 'Authorization: Bearer abc.def' u", "curl -H 'Authorization: Bearer ***' u"),
        ("curl -H Authorization: Bearer abc u", "curl -H Authorization: Bearer *** u"),
        ("curl -H \"authorization: basic dTpw\" u", "curl -H \"authorization: basic ***\" u"),
        ("curl -H 'Authorization: abc' u", "curl -H 'Authorization: ***' u"),
        (
            "git -c http.extraheader='AUTHORIZATION: basic dTpw' x",
            "git -c http.extraheader='AUTHORIZATION: basic ***' x",
        ),
    ]);
}

#[test]
fn addresses() {
    same(&[
        ("curl https://bob:pw@h.example/x", "curl https://bob:***@h.example/x"),
        ("git clone https://u:p@w@h/x.git", "git clone https://u:***@h/x.git"),
        ("ftp://bob:pw@[2001:db8::1]/", "ftp://bob:***@[2001:db8::1]/"),
        ("secretsdump.py corp/bob:pw@10.0.0.1", "secretsdump.py corp/bob:***@10.0.0.1"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=A/d&X-Amz-Signature=0f&x=1",
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=***&X-Amz-Signature=***&x=1",
        ),
        (
            "azcopy copy d 'https://a.blob.core.windows.net/c?sv=2024&sr=c&sig=ab%2Bc%3D&se=9'",
            "azcopy copy d 'https://a.blob.core.windows.net/c?sv=2024&sr=c&sig=***&se=9'",
        ),
        (
            "curl https://hooks.slack.com/services/T0/B0/zz -d x",
            "curl https://hooks.slack.com/services/*** -d x",
        ),
        ("curl https://discord.com/api/webhooks/12/ab_c", "curl https://discord.com/api/webhooks/***"),
        ("curl https://api.telegram.org/bot12:ab/sendDocument", "curl https://api.telegram.org/bot***"),
        ("https://h/f?access_token=abc#x", "https://h/f?access_token=***"),
        ("https://ghp_0123456789abcdefghij@github.com/x", "https://***@github.com/x"),
    ]);
}

#[test]
fn flags_of_known_tools() {
    same(&[
        ("curl -u bob:pw -T f https://h", "curl -u bob:*** -T f https://h"),
        ("curl.exe -ubob:pw h", "curl.exe -ubob:*** h"),
        (
            "C:\\Windows\\System32\\curl.exe --user \"bob:p w\" h",
            "C:\\Windows\\System32\\curl.exe --user \"bob:***\" h",
        ),
        ("mysql -u root -pS3 -h db", "mysql -u root -p*** -h db"),
        ("7z a -pSecret -mhe x.7z d", "7z a -p*** -mhe x.7z d"),
        (
            "\"C:\\Program Files\\WinRAR\\Rar.exe\" a -hp\"a b\" x d",
            "\"C:\\Program Files\\WinRAR\\Rar.exe\" a -hp*** x d",
        ),
        ("sshpass -p pw scp f bob@h:/x", "sshpass -p *** scp f bob@h:/x"),
        ("bash -c \"sudo mysqldump -pX db | gzip\"", "bash -c \"sudo mysqldump -p*** db | gzip\""),
        ("cmd /c net use \\\\h\\s pw /user:bob", "cmd /c net use \\\\h\\s *** /user:bob"),
        ("net use Z: \\\\h\\s pw", "net use Z: \\\\h\\s ***"),
        ("net user bob pw /add", "net user bob *** /add"),
        ("net start spooler now", "net start spooler now"),
        ("rclone config create m mega user a@b.c pass pw", "rclone config create m mega user a@b.c pass ***"),
        ("rclone copy /data m:loot --transfers 16", "rclone copy /data m:loot --transfers 16"),
        ("mega-login a@b.c pw", "mega-login a@b.c ***"),
        ("lftp -u bob,pw ftp.h", "lftp -u bob,*** ftp.h"),
        ("smbclient //h/s -U bob%pw", "smbclient //h/s -U bob%***"),
        ("openssl enc -aes-256-cbc -pass pass:pw -in f", "openssl enc -aes-256-cbc -pass *** -in f"),
        ("plink -ssh h -pw pw", "plink -ssh h -pw ***"),
        ("sqlplus scott/tiger@db @/x/y.sql", "sqlplus scott/*** @/x/y.sql"),
        ("ConvertTo-SecureString 'pw' -AsPlainText", "ConvertTo-SecureString '***' -AsPlainText"),
        ("curl https://h/zip -u a:b", "curl https://h/zip -u a:***"),
    ]);
}

#[test]
fn tokens_by_form() {
    same(&[
        ("gh auth ghp_0123456789abcdefghijABCDEFGHIJ", "gh auth ***"),
        ("x=AKIAIOSFODNN7EXAMPLE", "x=***"),
        ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abc", "x ***"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
        ("openssl -K 00112233445566778899aabbccddeeff", "openssl -K ***"),
        ("x --key 8f14e45fceea167a5a36dedd4bea2543", "x --key ***"),
    ]);
}

#[test]
fn encoded_scripts_go_when_they_hold_a_secret() {
    let encode = |script: &str| {
        use base64::Engine;
        let wide: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
        base64::engine::general_purpose::STANDARD.encode(wide)
    };
    let bad = format!("powershell -enc {}", encode("$password = 'hunter2 hunter2'; Invoke-WebRequest"));
    assert_eq!(redact(&bad), "powershell -enc ***");
    let good = format!("powershell -enc {}", encode("Get-ChildItem -Recurse C:\\Users\\bob"));
    assert_eq!(redact(&good), good);
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "\"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe\" --type=utility --lang=de",
        "rclone copy /srv/finance remote:backup --transfers 16 --password-file /root/x",
        "curl -T dump.tar.gz https://transfer.sh/dump.tar.gz",
        "git clone git@github.com:org/repo.git",
        "scp -P 22 f bob@h:/x",
        "tar czf /tmp/a.tgz /home/bob/Documents",
        "python3 train.py --tokenizer bert --key name",
        "docker run -p 8080:80 app",
        "ssh -p 2222 bob@h",
        "docker pull h/app:1.2@sha256:0123456789abcdef0123456789abcdef",
        "C:\\a@b\\x.exe mailto:bob@example.com",
        "xattr -d com.apple.quarantine /Users/bob/x.dmg",
        "svchost.exe -k netsvcs -p -s Schedule",
        "/usr/share/locale/sk-SK/LC_MESSAGES/app-translations-1.mo",
        "naïve --größe=10 日本語",
    ] {
        assert!(matches!(redact(text), Cow::Borrowed(out) if out == text), "{text} became {}", redact(text));
    }
}

#[test]
fn bounded_and_whole() {
    let long = "é".repeat(MAX_BYTES);
    assert!(redact(&long).len() <= MAX_BYTES);
    // So many secrets that the rest goes, and none is left.
    let many = "--password hunter2 ".repeat(1_000);
    let out = redact(&many);
    assert!(!out.contains("hunter2"), "{out}");
    assert_eq!(redact("Cookie: a=b;\" --password x"), "Cookie: ***\" --password ***");
}

#[test]
fn hostile() {
    let good = "curl -u bob:pw -H 'Authorization: Bearer abc' \"https://a:b@h/x?sig=1&t=2\" -pX --password 'a b' \
                %22token%22%3A%22é%22 \\\"secret\\\":\\\"x\\\" -----BEGIN PRIVATE KEY-----é";
    crate::parse::hostile::all(good.as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let once = redact(&text).into_owned();
        assert!(redact(&once).len() <= once.len() + 3 * GONE.len());
    });
}
