-- Adds a batch to a writer's stream and the register, or says why not. Redis runs it alone, from start to end; nothing
-- is written before every check has passed, for Redis does not undo what a script did before it failed.
--
-- KEYS: register, the writer's stream, set of writers
-- ARGV: 1 writer, 2-3 After, 4 Position, 5-6 RegisterAfter, 7 Touches, 8 MaxFollows, 9 number of events,
--       then of each entry, events first: id, hash, bytes, touches
-- Touches are one string: each touch after its length and a colon.

local zero = string.rep('\0', 32)

local function field(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then return list[i + 1] end
  end
end

-- The last id a stream gave out and the hash of that entry; "lost" where the entry was taken away.
local function head(key)
  if redis.call('EXISTS', key) == 0 then return '0-0', zero end
  local info = redis.call('XINFO', 'STREAM', key)
  local id, entry = field(info, 'last-generated-id'), field(info, 'last-entry')
  if entry and entry[1] == id then return id, field(entry[2], 'h') end
  return id, 'lost'
end

local function each(touches, visit)
  local i = 1
  while i <= #touches do
    local colon = string.find(touches, ':', i, true)
    local stop = colon + tonumber(string.sub(touches, i, colon - 1))
    if visit(string.sub(touches, colon + 1, stop)) then return true end
    i = stop + 1
  end
  return false
end

local first, events = 10, tonumber(ARGV[9])
local firstRegister, stop = first + 4 * events, #ARGV
local id, hash = head(KEYS[2])
local registerID, registerHash = head(KEYS[1])

-- already
local lastEvent = firstRegister - 4
if id == ARGV[lastEvent] and hash == ARGV[lastEvent + 1] then
  local holds = true
  for i = firstRegister, stop, 4 do
    local there = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
    holds = holds and there and field(there[2], 'h') == ARGV[i + 1]
  end
  if holds then return 'already' end
end

-- fenced
local count, position = 0, tonumber(ARGV[4])
if registerID ~= '0-0' then
  count = tonumber(string.match(registerID, '^1%-(%d+)$')) + 1
end
if id ~= ARGV[2] or hash ~= ARGV[3] or position > count or registerHash == 'lost' then return 'fenced' end
if count == 0 then return 'absent' end

-- moved
if firstRegister <= stop and (registerID ~= ARGV[5] or registerHash ~= ARGV[6]) then return 'moved' end

-- stale
if count - position > tonumber(ARGV[8]) then return 'stale' end
local rests = {['*'] = true}
each(ARGV[7], function(touch) rests[touch] = true end)
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '1-' .. ARGV[4], '+')) do
  local touches = field(entry[2], 't')
  if touches and each(touches, function(touch) return rests[touch] end) then return 'stale' end
end

-- appended
redis.call('SADD', KEYS[3], ARGV[1])
for i = first, stop, 4 do
  local key = i < firstRegister and KEYS[2] or KEYS[1]
  if ARGV[i + 3] == '' then
    redis.call('XADD', key, ARGV[i], 'h', ARGV[i + 1], 'b', ARGV[i + 2])
  else
    redis.call('XADD', key, ARGV[i], 'h', ARGV[i + 1], 'b', ARGV[i + 2], 't', ARGV[i + 3])
  end
end
return 'appended'
