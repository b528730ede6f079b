//! What a service answers, made safe to pass on: header fields, cookies, CORS, caching, redaction.
