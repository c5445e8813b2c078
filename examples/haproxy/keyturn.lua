-- keyturn.lua - tokens in HAProxy: `http-request lua.keyturn.POLICY` verifies, haproxy.cfg decides.
--
-- SPDX-License-Identifier: Apache-2.0
--
-- The configuration says require("keyturn").configure { ... }; README.md shows it. It is read once for each thread, before
-- the chroot. What it makes is the process's, and one of the threads looks after it.
local native = require "keyturn_haproxy"
local keyturn = {}

-- ---- A request

local TOLD = { "status", "error", "challenge", "retry_after", "issuer", "kid", "digest" }

local function tell(txn, name, value)
  if value == nil then txn:unset_var(name) else txn:set_var(name, value) end
end

-- All of a policy's variables, so that none is another verification's; and last the one that decides.
local function tell_all(txn, policy, verdict)
  for _, name in ipairs(TOLD) do tell(txn, "txn.keyturn." .. name, verdict[name]) end
  for name in pairs(policy.claims) do tell(txn, "txn.keyturn.claim." .. name, verdict.claims[name]) end
  tell(txn, "txn.keyturn.http", verdict.http)
end

local function tokens(txn, policy)
  if policy.token then
    local token = txn:get_var(policy.token)
    if token then return false, token end
    return false
  end
  local fields = {}
  for number = 1, txn.f:req_fhdr_cnt("authorization") do
    fields[number] = txn.f:req_fhdr("authorization", number)
  end
  return true, table.unpack(fields)
end

-- While a fetch may bring the key the request sleeps, and its thread does not.
local function verify(txn, policy)
  local waited, pause, certificate = 0, 2, policy.confirms and txn.f:ssl_c_der()
  while true do
    local verdict = native.verify(policy.number, policy.claims, waited, certificate, tokens(txn, policy))
    if verdict.status ~= "JWKS_PENDING" then return verdict end
    native.poll()
    core.msleep(pause)
    waited, pause = waited + pause, math.min(2 * pause, 50)
  end
end

-- ---- Keys

local LEVELS = {
  private_key = core.err, expired = core.err, emptied_obeyed = core.err,
  issuer_added = core.notice, issuer_removed = core.notice, keys_changed = core.notice, recovered = core.notice,
  revoked = core.notice, unrevoked = core.notice,
}

local function tell_news()
  for name, line in native.news do core.log(LEVELS[name] or core.warning, line) end
end

local function look_after_keys()
  while true do
    local next_ms = native.poll()
    tell_news()
    core.msleep(math.max(10, math.min(next_ms, 1000)))
  end
end

-- ---- The configuration

local function refuse(place, sentence) error("keyturn: " .. place .. ": " .. sentence, 0) end

local function read_claims(name, claims)
  local place = "policies." .. name .. ".claims"
  if type(claims) ~= "table" then refuse(place, "this is no table") end
  for variable, claim in pairs(claims) do
    if type(variable) ~= "string" or not variable:find("^[%w_]+$") then
      refuse(place, "a name is of letters, digits and _")
    end
    if type(claim) ~= "string" then refuse(place .. "." .. variable, "a claim is a name or a JSON pointer") end
  end
  return claims
end

local function read_token(name, token)
  if token ~= nil and (type(token) ~= "string" or not token:find("^%a+%.[%w_.]+$")) then
    refuse("policies." .. name .. ".token", "it is the name of a variable: \"txn.token\"")
  end
  return token
end

local function register(name, number, options)
  if not name:find("^[%w_]+$") then refuse("policies." .. name, "a name is of letters, digits and _") end
  local policy = {
    number = number, claims = read_claims(name, options.claims or {}), token = read_token(name, options.token),
    confirms = options.host_confirms,
  }
  core.register_action("keyturn." .. name, { "http-req" }, function(txn)
    tell(txn, "txn.keyturn.http", 500) -- whatever happens now
    tell_all(txn, policy, verify(txn, policy))
  end)
end

local function answer_metrics(applet)
  local body = native.metrics()
  applet:set_status(200)
  applet:add_header("content-type", "text/plain; version=0.0.4")
  applet:add_header("content-length", tostring(#body))
  applet:start_response()
  applet:send(body)
end

local is_configured = false

function keyturn.configure(options)
  if is_configured then error("keyturn: it is configured twice", 0) end
  is_configured = true
  for name, number in pairs(native.configure(options)) do register(name, number, options.policies[name]) end
  core.register_service("keyturn.metrics", "http", answer_metrics)
  if core.thread <= 1 then core.register_task(look_after_keys) end
end

return keyturn
