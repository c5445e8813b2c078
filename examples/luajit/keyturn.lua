-- keyturn.lua - tokens in OpenResty, nginx with its Lua module, and LuaJIT itself.
--
-- SPDX-License-Identifier: Apache-2.0
--
--   gate = keyturn.gate { issuers = ..., policies = { orders = ... } }   -- in the master: tries the options out
--   gate:start()                                                         -- in each worker: makes the keys, and its thread
--   verdict, refusal = gate.policies.orders:verify(token)                -- for each request
--   verdict:claim("sub")
--
-- README.md shows all of it. Every handle is freed with the table that holds it.
local ffi = require "ffi"
local bit = require "bit"

-- What is used of keyturn.h, as it stands there; enums as the numbers that they are.
ffi.cdef [[
typedef int jwt_status;
typedef struct jwks_error { size_t size; char option[64]; char message[256]; } jwks_error;
typedef struct keyturn_span { const char *data; size_t len; } keyturn_span;
typedef struct jwks_cache jwks_cache;
typedef int64_t (*keyturn_clock)(void *context);
typedef struct jwks_fetcher jwks_fetcher;
typedef struct jwks_cache_options { size_t size; keyturn_clock clock; void *clock_context; uint32_t max_issuers;
    uint32_t max_revocations; const jwks_fetcher *fetcher; keyturn_clock monotonic; void *monotonic_context;
    uint32_t max_fetches; uint32_t max_events; const char *store; const char *store_user; uint32_t store_reader;
    uint32_t store_agent; int64_t key_tables; int64_t token_cache; } jwks_cache_options;
jwt_status jwks_cache_new(const jwks_cache_options *options, jwks_cache **out, jwks_error *error);
void jwks_cache_release(jwks_cache *cache);
typedef struct jwks_issuer jwks_issuer;
typedef int jwks_key_use;
typedef int jwks_discovery;
typedef int jwks_empty_set;
typedef struct jwks_issuer_options { size_t size; const char *issuer; uint64_t algorithms; jwks_key_use use;
    uint32_t allow_symmetric; uint32_t max_keys; uint32_t max_document; const char *jwks_url; jwks_discovery
    discovery; uint32_t allow_http; uint32_t lazy; const char *const *jwks_hosts; size_t jwks_host_count; const char
    *const *headers; size_t header_count; const char *ca_file; const char *client_certificate; const char
    *client_key; const char *proxy; uint32_t max_redirects; uint32_t connect_timeout_ms; uint32_t fetch_timeout_ms;
    uint32_t min_freshness_ms; uint32_t max_freshness_ms; uint32_t default_freshness_ms; uint32_t hard_limit_ms;
    uint32_t honor_must_revalidate; jwks_empty_set empty_set; uint32_t same_kid_rekey; int64_t backoff_base_ms;
    int64_t backoff_max_ms; int64_t backoff_max_unserved_ms; int64_t max_retry_after_ms; int64_t demand_burst;
    int64_t demand_interval_ms; int64_t total_burst; int64_t total_interval_ms; int64_t kept_for_schedule; int64_t
    operator_burst; int64_t operator_interval_ms; int64_t refused_kids; int64_t refused_short_ms; int64_t
    refused_long_ms; int64_t max_waiters; int64_t idle_ms; int64_t rediscovery_ms; int64_t regression_ms; int64_t
    empty_hold_ms; int64_t stale_warning_ms; int64_t lock_timeout_ms; int64_t rekey_interval_ms; int64_t
    pinned_max_age_ms; int64_t valid_until; const char *const *pins; size_t pin_count; int64_t grace_ms; const char
    *signed_by; const char *file; int64_t file_check_ms; } jwks_issuer_options;
jwt_status jwks_cache_add_issuer(jwks_cache *cache, const jwks_issuer_options *options, jwks_issuer **out,
    jwks_error *error);
void jwks_issuer_release(jwks_issuer *issuer);
jwt_status jwks_cache_start(jwks_cache *cache, jwks_error *error);
void jwks_cache_stop(jwks_cache *cache);
typedef struct jwt_policy jwt_policy;
typedef int jwt_rule_kind;
typedef struct jwt_rule { size_t size; jwt_rule_kind kind; const char *claim; const char *const *values; size_t
    value_count; } jwt_rule;
typedef struct jwt_policy_options { size_t size; jwks_issuer *const *issuers; size_t issuer_count; const char *const
    *audiences; size_t audience_count; uint64_t algorithms; const char *type; const jwt_rule *rules; size_t
    rule_count; int64_t leeway_s; int64_t max_lifetime_s; uint32_t allow_any_issuer; uint32_t allow_any_audience;
    uint32_t allow_no_expiry; uint32_t host_confirms; uint32_t max_token; uint32_t max_kid; uint32_t
    max_header_members; uint32_t max_claims_members; uint32_t max_nesting; uint32_t reserved; } jwt_policy_options;
jwt_status jwt_policy_new(jwks_cache *cache, const jwt_policy_options *options, jwt_policy **out, jwks_error
    *error);
void jwt_policy_release(jwt_policy *policy);
typedef struct jwt_result jwt_result;
jwt_status jwt_result_new(jwt_result **out);
void jwt_result_release(jwt_result *result);
jwt_status jwt_verify(const jwt_policy *policy, const char *token, size_t len, jwt_result *result);
jwt_status jwt_verify_wait(const jwt_policy *policy, const char *token, size_t len, uint32_t timeout_ms, jwt_result
    *result);
const char *jwt_result_detail(const jwt_result *result);
jwt_status jwt_result_confirm_certificate(const jwt_result *result, const unsigned char sha256[32]);
keyturn_span jwt_result_payload(const jwt_result *result);
keyturn_span jwt_result_kid(const jwt_result *result);
keyturn_span jwt_result_issuer(const jwt_result *result);
int64_t jwt_result_expiry(const jwt_result *result);
typedef int jwt_kind;
typedef struct jwt_value { jwt_kind kind; keyturn_span text; } jwt_value;
jwt_value jwt_result_claim(const jwt_result *result, const char *name, size_t len);
jwt_value jwt_result_claim_at(const jwt_result *result, const char *pointer, size_t len);
const char *jwt_status_name(jwt_status status);
const char *jwt_status_message(jwt_status status);
int jwt_status_http(jwt_status status);
uint64_t jwt_algorithm_from_name(const char *name, size_t len);
typedef struct jwt_challenge_options { size_t size; const char *realm; const char *scope; const char
    *resource_metadata; } jwt_challenge_options;
jwt_status jwt_challenge(jwt_status status, const jwt_challenge_options *options, char *buffer, size_t capacity,
    size_t *len);
typedef int jwks_issuer_state;
typedef int jwks_fetch_result;
typedef int jwks_store_fault;
typedef struct jwks_issuer_stats { size_t size; jwks_issuer_state state; jwks_fetch_result last_failure; int64_t
    age_ms; int64_t fresh_ms; int64_t served_ms; int64_t next_fetch_ms; int64_t since_success_ms; int64_t
    since_failure_ms; uint32_t failures; uint32_t waiters; uint32_t keys; uint32_t revocations; uint64_t
    misses_pending; uint64_t misses_throttled; uint64_t misses_listed; jwks_store_fault store_faults[8]; uint64_t
    store_troubles[8]; uint64_t generation; unsigned char set_digest[32]; uint64_t fetches; uint64_t by_reason[8];
    uint64_t by_result[32]; uint64_t received_octets; uint64_t fetch_ms; uint64_t last_fetch_ms; uint64_t
    keys_added; uint64_t keys_removed; uint64_t disjoint_sets; uint64_t duplicate_kids; uint64_t revoked_keys;
    uint64_t keys_left_out[32]; uint32_t own; uint32_t reserved; } jwks_issuer_stats;
jwt_status jwks_issuer_stats_get(jwks_issuer *issuer, jwks_issuer_stats *out);
jwt_status jwks_issuer_ready(jwks_issuer *issuer);
typedef struct jwks_metrics_options { size_t size; uint32_t per_key; uint32_t max_series; uint32_t own; uint32_t
    reserved; } jwks_metrics_options;
jwt_status jwks_cache_metrics(jwks_cache *cache, const jwks_metrics_options *options, char *buffer, size_t capacity,
    size_t *len);
typedef int jwks_event_kind;
typedef struct jwks_event { size_t size; jwks_event_kind kind; uint32_t reason; int64_t time; uint64_t count;
    uint64_t removed; uint64_t dropped; const char *name; char issuer[1028]; char kid[256]; char thumbprint[44]; }
    jwks_event;
int jwks_event_next(jwks_cache *cache, jwks_event *out);
]]

-- What is used of libcrypto, which comes with the library, by names that nobody else gives them.
ffi.cdef [[
unsigned char *keyturn_sha256(const unsigned char *data, size_t len, unsigned char *digest) __asm__("SHA256");
int keyturn_decode_base64(unsigned char *to, const char *from, int len) __asm__("EVP_DecodeBlock");
]]

local lib = ffi.load "libkeyturn.so.0"
local OK, MISSING, CONFIRMATION_REQUIRED, UNAVAILABLE, PENDING = 0, 109, 309, 500, 501
local keyturn = {}

-- ---- Errors

local function refuse(place, option, sentence)
  local dot = place ~= "" and option ~= "" and "." or ""
  error("keyturn: " .. place .. dot .. option .. ": " .. sentence, 0)
end

local function new_error() return ffi.new("jwks_error", { size = ffi.sizeof "jwks_error" }) end

-- What the library made, freed with what holds it; or an error that names the option.
local function made(status, out, release, place, wrong)
  if status ~= OK then refuse(place, ffi.string(wrong.option), ffi.string(wrong.message)) end
  return ffi.gc(out[0], release)
end

local function new_result()
  local out = ffi.new "jwt_result *[1]"
  if lib.jwt_result_new(out) ~= OK then error("keyturn: there is no memory left", 0) end
  return ffi.gc(out[0], lib.jwt_result_release)
end

-- ---- Options: their kinds, as docs/options.md has them

local OPTIONS = {
  cache = {
    text = "store store_user", flag = "store_reader", number = "max_issuers max_revocations max_fetches max_events",
    limit = "key_tables token_cache",
  },
  issuer = {
    text = "issuer jwks_url file ca_file client_certificate client_key proxy signed_by",
    texts = "jwks_hosts headers pins",
    flag = "allow_symmetric allow_http lazy honor_must_revalidate same_kid_rekey",
    algorithms = "algorithms",
    word = "use discovery empty_set",
    number = "max_keys max_document max_redirects connect_timeout_ms fetch_timeout_ms min_freshness_ms max_freshness_ms " ..
      "default_freshness_ms hard_limit_ms",
    count = "file_check_ms rekey_interval_ms backoff_base_ms backoff_max_ms backoff_max_unserved_ms demand_burst " ..
      "demand_interval_ms total_burst total_interval_ms operator_burst operator_interval_ms refused_kids max_waiters idle_ms " ..
      "rediscovery_ms stale_warning_ms lock_timeout_ms pinned_max_age_ms valid_until grace_ms",
    limit = "max_retry_after_ms kept_for_schedule refused_short_ms refused_long_ms regression_ms empty_hold_ms",
  },
  policy = {
    text = "type", texts = "audiences", algorithms = "algorithms",
    flag = "allow_any_issuer allow_any_audience allow_no_expiry host_confirms",
    number = "max_token max_kid max_header_members max_claims_members max_nesting", limit = "leeway_s max_lifetime_s",
  },
  challenge = { text = "realm scope resource_metadata" },
}

local WORDS = {
  use = { sig = 0, ["jwt-svid"] = 1 },
  discovery = { none = 0, openid = 1, oauth = 2 },
  empty_set = { hold = 1, obey = 2 },
}

local COUNTS = { jwks_hosts = "jwks_host_count", headers = "header_count", pins = "pin_count", audiences = "audience_count" }

local RULES = { present = 0, equals = 1, one_of = 2, prefix = 3, contains = 4, has_word = 5, spiffe_trust_domain = 6 }

local KIND = {} -- of each option of each struct
for struct, kinds in pairs(OPTIONS) do
  KIND[struct] = {}
  for kind, names in pairs(kinds) do
    for name in names:gmatch "%S+" do KIND[struct][name] = kind end
  end
end

local function is_text(value) return type(value) == "string" and not value:find("\0", 1, true) end

-- C's array of them, which lives as long as `kept`, like the texts themselves.
local function texts(values, kept)
  if type(values) ~= "table" then values = { values } end
  for _, value in ipairs(values) do
    if not is_text(value) then return nil end
  end
  local array = ffi.new("const char *[?]", math.max(#values, 1), values)
  kept[#kept + 1], kept[#kept + 2] = array, values
  return array, #values
end

local function whole(value, most)
  value = tonumber(value)
  return value and value >= 1 and value <= most and value % 1 == 0 and value or nil
end

-- Each puts a value into a field, or returns what is wrong.
local put = {}

function put.text(to, name, value, kept)
  if not is_text(value) then return "the value must be a text" end
  to[name], kept[#kept + 1] = value, value
end

function put.texts(to, name, value, kept)
  local array, count = texts(value, kept)
  if not array then return "the value must be a text, or a list of texts" end
  if count == 0 then return "a value is wanting" end
  to[name], to[COUNTS[name]] = array, count
end

function put.flag(to, name, value)
  if value ~= true and value ~= false then return "the value must be true or false" end
  to[name] = value and 1 or 0
end

function put.number(to, name, value)
  local number = whole(value, 0xffffffff)
  if not number then return "the value must be a number from 1 on" end
  to[name] = number
end

function put.count(to, name, value)
  local number = whole(value, 2 ^ 53)
  if not number then return "the value must be a number from 1 on" end
  to[name] = number
end

function put.limit(to, name, value)
  local number = value == "off" and -1 or whole(value, 2 ^ 53)
  if not number then return "the value must be a number from 1 on, or \"off\"" end
  to[name] = number
end

function put.word(to, name, value)
  if not WORDS[name][value] then return "the value is none of its words" end
  to[name] = WORDS[name][value]
end

function put.algorithms(to, name, value)
  local all = 0ULL
  for _, algorithm in ipairs(type(value) == "table" and value or { value }) do
    local one = is_text(algorithm) and lib.jwt_algorithm_from_name(algorithm, #algorithm) or 0ULL
    if one == 0 then return "a value is no algorithm's name" end
    all = bit.bor(all, one)
  end
  if all == 0 then return "a value is wanting" end
  to[name] = all
end

local function new_options(ctype) return ffi.new(ctype, { size = ffi.sizeof(ctype) }) end

-- Puts the members of a table into structs of options: { policy = STRUCT, challenge = STRUCT }.
local function read_options(place, from, elsewhere, structs, kept)
  for name, value in pairs(from) do
    local known = elsewhere[name]
    for struct, to in pairs(structs) do
      local kind = KIND[struct][name]
      if kind then
        local wrong = put[kind](to, name, value, kept)
        if wrong then refuse(place, name, wrong) end
        known = true
      end
    end
    if not known then refuse(place, tostring(name), "no such option") end
  end
end

local function check_table(place, option, value)
  if type(value) ~= "table" then refuse(place, option, "a table is wanted here") end
  return value
end

-- ---- Making the keys, the issuers and the policies

local function make_cache(options, is_draft, kept)
  local with, wrong, out = new_options "jwks_cache_options", new_error(), ffi.new "jwks_cache *[1]"
  read_options("", options, { issuers = true, policies = true }, { cache = with }, kept)
  if is_draft then with.store, with.store_user, with.store_reader = nil, nil, 0 end
  return made(lib.jwks_cache_new(with, out, wrong), out, lib.jwks_cache_release, "", wrong)
end

local function add_issuer(cache, place, options, kept)
  local of, wrong, out = new_options "jwks_issuer_options", new_error(), ffi.new "jwks_issuer *[1]"
  read_options(place, check_table(place, "", options), {}, { issuer = of }, kept)
  local status = lib.jwks_cache_add_issuer(cache, of, out, wrong)
  local fetch_ms = of.fetch_timeout_ms > 0 and of.fetch_timeout_ms or 5000 -- the library's default
  return { handle = made(status, out, lib.jwks_issuer_release, place, wrong), patience_ms = 2 * fetch_ms }
end

local function add_issuers(cache, options, kept)
  local issuers = {}
  for number, each in ipairs(check_table("", "issuers", options.issuers)) do
    issuers[number] = add_issuer(cache, "issuers[" .. number .. "]", each, kept)
    issuers[each.issuer] = issuers[number]
  end
  if #issuers == 0 then refuse("", "issuers", "a list of them is required") end
  return issuers
end

-- Those that a policy names; the only one, where there is but one.
local function choose_issuers(place, names, issuers)
  if names == nil and #issuers > 1 then refuse(place, "issuers", "there are several: say which") end
  if names == nil then return { issuers[1] } end
  local chosen = {}
  for number, name in ipairs(type(names) == "table" and names or { names }) do
    chosen[number] = type(name) == "string" and issuers[name] or refuse(place, "issuers", "there is no such issuer")
  end
  return chosen
end

-- { "scope", "has_word", "orders:read" }, or { "email" }
local function put_rule(place, to, words, kept)
  local kind = RULES[words[2] or "present"]
  if not is_text(words[1]) then refuse(place, "require", "a claim is wanting") end
  if not kind then refuse(place, "require", "no such kind of a rule: " .. tostring(words[2])) end
  local values, count = texts({ unpack(words, 3) }, kept)
  if not values then refuse(place, "require", "the values must be texts") end
  to.size, to.kind, to.claim, to.value_count = ffi.sizeof "jwt_rule", kind, words[1], count
  if count > 0 then to.values = values end
end

local function put_rules(place, to, rules, kept)
  if rules == nil then return end
  check_table(place, "require", rules)
  local array = ffi.new("jwt_rule[?]", math.max(#rules, 1))
  for number, words in ipairs(rules) do put_rule(place, array[number - 1], check_table(place, "require", words), kept) end
  kept[#kept + 1] = array
  to.rules, to.rule_count = array, #rules
end

local function check_challenge(place, challenge)
  if lib.jwt_challenge(MISSING, challenge, nil, 0, ffi.new "size_t[1]") == 901 then
    refuse(place, "realm, scope, resource_metadata", "too long, or with control characters")
  end
end

local function make_policy(cache, place, options, issuers, kept)
  local of, challenge = new_options "jwt_policy_options", new_options "jwt_challenge_options"
  local wrong, out = new_error(), ffi.new "jwt_policy *[1]"
  read_options(place, check_table(place, "", options), { issuers = true, require = true },
    { policy = of, challenge = challenge }, kept)
  put_rules(place, of, options.require, kept)
  local made_of, patience_ms = choose_issuers(place, options.issuers, issuers), 0
  local handles = ffi.new("jwks_issuer *[?]", #made_of)
  for number, issuer in ipairs(made_of) do
    handles[number - 1] = issuer.handle
    patience_ms = math.max(patience_ms, issuer.patience_ms)
  end
  of.issuers, of.issuer_count = handles, #made_of
  check_challenge(place, challenge)
  local handle = made(lib.jwt_policy_new(cache, of, out, wrong), out, lib.jwt_policy_release, place, wrong)
  return handle, {
    issuers = made_of, patience_ms = patience_ms, challenge = challenge, kept = kept, confirms = of.host_confirms == 1,
  }
end

-- All of it, into the tables of policies.
local function make(options, policies, is_draft)
  local kept = {}
  local cache = make_cache(options, is_draft, kept)
  local issuers = add_issuers(cache, options, kept)
  for name, policy in pairs(policies) do
    local handle, rest = make_policy(cache, "policies." .. name, options.policies[name], issuers, kept)
    if not is_draft then
      policy.handle = handle
      for member, value in pairs(rest) do policy[member] = value end
    end
  end
  return cache
end

-- ---- Verdicts

local Verdict = {}
Verdict.__index = Verdict

local ABSENT, STRING = 0, 4

-- The octets that are wanted nowhere: they could end a header, or a line of a log. In arrays and objects they are white space,
-- but for the last.
local function text_of(value)
  if value.kind <= 1 then return nil end
  local text = ffi.string(value.text.data, value.text.len)
  if text:find("\127", 1, true) or (value.kind == STRING and text:find "[%z\1-\31]") then return nil end
  return (text:gsub("[%z\1-\31]", ""))
end

-- A claim by name, or by JSON pointer if it begins with '/', as text; nil where it is absent, null, or unfit for a header.
function Verdict:claim(name)
  local find = name:byte() == 47 and lib.jwt_result_claim_at or lib.jwt_result_claim
  return text_of(find(self.result, name, #name))
end

-- All claims, as JSON.
function Verdict:claims()
  local all = lib.jwt_result_payload(self.result)
  return ffi.string(all.data, all.len)
end

-- When the token ends, in Unix seconds; nil if it does not.
function Verdict:expiry()
  local seconds = lib.jwt_result_expiry(self.result)
  if seconds < 2 ^ 53 then return tonumber(seconds) end
end

-- ---- Refusals

local challenge_text, challenge_length = ffi.new "char[16384]", ffi.new "size_t[1]"

local function challenge_of(policy, status)
  local done = lib.jwt_challenge(status, policy.challenge, challenge_text, 16384, challenge_length)
  if done == OK and challenge_length[0] > 0 then return ffi.string(challenge_text, challenge_length[0]) end
end

local function next_fetch_ms(issuer)
  local stats = new_options "jwks_issuer_stats"
  if lib.jwks_issuer_ready(issuer.handle) == OK or lib.jwks_issuer_stats_get(issuer.handle, stats) ~= OK then return nil end
  return stats.next_fetch_ms >= 0 and tonumber(stats.next_fetch_ms) or nil
end

-- Seconds, until the first of the issuers that is not ready is asked again.
local function retry_after(policy)
  local soonest
  for _, issuer in ipairs(policy.issuers) do
    local next_ms = next_fetch_ms(issuer)
    if next_ms and next_ms < (soonest or math.huge) then soonest = next_ms end
  end
  return soonest and math.min(math.floor(soonest / 1000) + 1, 300) or 1
end

local function refusal_of(policy, status, result)
  local detail, http = ffi.string(lib.jwt_result_detail(result)), lib.jwt_status_http(status)
  return {
    status = ffi.string(lib.jwt_status_name(status)), http = http,
    error = (detail ~= "" and detail .. ": " or "") .. ffi.string(lib.jwt_status_message(status)),
    challenge = challenge_of(policy, status), retry_after = http == 503 and retry_after(policy) or nil,
  }
end

local TWO_TOKENS = { status = "TWO_TOKENS", http = 400, error = "The request holds more than one token." }

-- ---- Verifying

local Policy = {}
Policy.__index = Policy

local spare -- a result that no verdict holds; its content counts until somebody yields

local SLEEPS = { rewrite = true, access = true, content = true, timer = true } -- the phases that may

-- While a fetch may bring the key: in nginx the request sleeps, and its worker does not. Elsewhere the thread waits.
local function judge(policy, token)
  spare = spare or new_result()
  if not ngx then return lib.jwt_verify_wait(policy.handle, token, #token, 0, spare) end
  local waited, pause = 0, 2
  while true do
    spare = spare or new_result() -- while this one slept others may have been accepted
    local status = lib.jwt_verify(policy.handle, token, #token, spare)
    if status ~= PENDING then return status end
    if waited >= policy.patience_ms or not SLEEPS[ngx.get_phase()] then return UNAVAILABLE end
    ngx.sleep(pause / 1000)
    waited, pause = waited + pause, math.min(2 * pause, 50)
  end
end

-- What an accepted token is bound to (RFC 8705) is the client's certificate, or it is not accepted.
local function confirm(policy, result, sha256)
  if not policy.confirms or lib.jwt_result_claim(result, "cnf", 3).kind == ABSENT then return OK end
  if type(sha256) ~= "string" or #sha256 ~= 32 then return CONFIRMATION_REQUIRED end
  return lib.jwt_result_confirm_certificate(result, sha256)
end

-- A verdict, or nil and a refusal: { status, http, error, challenge, retry_after }. No token is "" or nil. With host_confirms
-- there may be the SHA-256 of the client's certificate, of 32 octets.
function Policy:verify(token, sha256)
  if not self.handle then error("keyturn: the gate is not started", 0) end
  local status = judge(self, token or "")
  local result = spare
  if status == OK then status = confirm(self, result, sha256) end
  if status ~= OK then return nil, refusal_of(self, status, result) end
  spare = nil
  local issuer, kid = lib.jwt_result_issuer(result), lib.jwt_result_kid(result)
  return setmetatable({
    status = "JWT_OK", http = 200, result = result,
    issuer = ffi.string(issuer.data, issuer.len), kid = kid.len > 0 and ffi.string(kid.data, kid.len) or nil,
  }, Verdict)
end

-- Each token that a field holds. Several fields may have been joined by commas on their way (RFC 9110 section 5.3).
local function tokens_of(field, found)
  for after in ("," .. field):gmatch ",()" do
    local scheme, rest = field:sub(after - 1):match "^[ \t]*([^ \t]+)[ \t]*(.-)[ \t]*$"
    if scheme and scheme:lower() == "bearer" then found[#found + 1] = rest end
  end
end

-- The token of an Authorization field, or of a list of them: nil if there is none; nil and true if there are several
-- (RFC 6750 section 2).
function keyturn.bearer(fields)
  local found = {}
  for _, field in ipairs(type(fields) == "table" and fields or { fields }) do tokens_of(field, found) end
  if #found > 1 then return nil, true end
  return found[1]
end

-- The SHA-256 of a certificate in PEM; nil if it is none.
function keyturn.thumbprint(pem)
  local text = type(pem) == "string" and pem:match "%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END"
  if not text then return nil end
  text = text:gsub("%s", "")
  local der, sha256 = ffi.new("unsigned char[?]", #text), ffi.new "unsigned char[32]"
  local length = lib.keyturn_decode_base64(der, text, #text) - #text:match "=*$" -- it counts those, too
  return length > 0 and ffi.string(lib.keyturn_sha256(der, length, sha256), 32) or nil
end

-- ---- nginx

-- For access_by_lua: the verdict of the request's token, or its end.
function Policy:access()
  local token, are_several = keyturn.bearer(ngx.req.get_headers(0).authorization)
  local certificate = self.confirms and keyturn.thumbprint(ngx.var.ssl_client_raw_cert)
  local verdict, refusal
  if are_several then refusal = TWO_TOKENS else verdict, refusal = self:verify(token, certificate) end
  if verdict then return verdict end
  ngx.log(ngx.INFO, "keyturn refuses: ", refusal.status, " ", refusal.error)
  ngx.header["WWW-Authenticate"], ngx.header["Retry-After"] = refusal.challenge, refusal.retry_after
  return ngx.exit(refusal.http)
end

local LEVELS = ngx and {
  private_key = ngx.ERR, expired = ngx.ERR, emptied_obeyed = ngx.ERR,
  issuer_added = ngx.NOTICE, issuer_removed = ngx.NOTICE, keys_changed = ngx.NOTICE, recovered = ngx.NOTICE,
  revoked = ngx.NOTICE, unrevoked = ngx.NOTICE,
}

local function log_news(gate)
  for name, line in gate.news, gate do ngx.log(LEVELS[name] or ngx.WARN, "keyturn: ", line) end
end

-- ---- The gate

local Gate = {}
Gate.__index = Gate

-- Makes the keys and starts their thread: in nginx in each worker, which is where threads may start.
function Gate:start()
  local wrong = new_error()
  self.cache = make(self.options, self.policies)
  if lib.jwks_cache_start(self.cache, wrong) ~= OK then refuse("", ffi.string(wrong.option), ffi.string(wrong.message)) end
  if ngx then ngx.timer.every(1, function() log_news(self) end) end
end

-- Ends the thread, within a second. A gate that is garbage does it, too.
function Gate:stop()
  if self.cache then lib.jwks_cache_stop(self.cache) end
end

-- The name of what has happened, and a line for the log; nil if nothing has.
function Gate:news()
  local event = ffi.new("jwks_event", { size = ffi.sizeof "jwks_event" })
  if lib.jwks_event_next(self.cache, event) == 0 then return nil end
  local name = ffi.string(event.name)
  return name, ("%s issuer=\"%s\" count=%d removed=%d reason=%d"):format(
    name, ffi.string(event.issuer), tonumber(event.count), tonumber(event.removed), event.reason)
end

-- For Prometheus.
function Gate:metrics()
  local length = ffi.new "size_t[1]"
  lib.jwks_cache_metrics(self.cache, nil, nil, 0, length)
  local capacity = tonumber(length[0]) * 5 / 4 + 1024 -- it may grow meanwhile
  local page = ffi.new("char[?]", capacity)
  return lib.jwks_cache_metrics(self.cache, nil, page, capacity, length) == OK and ffi.string(page, length[0]) or ""
end

-- Reads the options, and tries them out but for the store, which is the workers'. What is wrong is an error that names
-- the option.
function keyturn.gate(options)
  local policies = {}
  for name in pairs(check_table("", "policies", options.policies)) do policies[name] = setmetatable({}, Policy) end
  make(options, policies, true)
  return setmetatable({ options = options, policies = policies }, Gate)
end

return keyturn
