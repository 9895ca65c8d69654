"""What is asked of Redis, each in one script: Redis runs one at a time, so none sees half a change.

KEYS: the stream, and the hash of what is known about it: `epoch`; `lost` and `lost_id`, the place
that the epoch began instead of; `total`, the bytes ever added. An entry has its epoch (`e`), its
payload (`p`), and the bytes that were added before it (`b`).
"""

# Of an entry besides its payload: id, field names, epoch, and the nodes that hold it.
ENTRY_BYTES = 128

_COMMON = (
    f"local ENTRY_BYTES = {ENTRY_BYTES}"
    + """
local STREAM, STATE = KEYS[1], KEYS[2]
local function read_state()
  local found = redis.call('HMGET', STATE, 'epoch', 'lost', 'lost_id', 'total')
  return {epoch = found[1], lost = found[2], lost_id = found[3], total = tonumber(found[4] or 0)}
end
local function read_stream()
  local seen = {last = '0-0', length = 0, added = 0, first = false}
  if redis.call('EXISTS', STREAM) == 0 then return seen end
  local info = redis.call('XINFO', 'STREAM', STREAM)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then seen.last = info[i + 1] end
    if info[i] == 'length' then seen.length = info[i + 1] end
    if info[i] == 'entries-added' then seen.added = info[i + 1] end
    if info[i] == 'first-entry' then seen.first = info[i + 1] end
  end
  return seen
end
local function before(a, b)
  local a1, a2 = string.match(a, '(%d+)-(%d+)')
  local b1, b2 = string.match(b, '(%d+)-(%d+)')
  a1, a2, b1, b2 = tonumber(a1), tonumber(a2), tonumber(b1), tonumber(b2)
  return a1 < b1 or (a1 == b1 and a2 < b2)
end
-- Where in the log a known place is: an epoch that began instead of it continues it.
local function place(state, epoch, id)
  if state.epoch == epoch then return id end
  if state.epoch and state.lost == epoch and state.lost_id == id then return '0-0' end
end
local function begin(epoch, lost, lost_id)
  redis.call('DEL', STREAM, STATE)  -- also what lets the next command pass when memory is full
  redis.call('HSET', STATE, 'epoch', epoch, 'lost', lost, 'lost_id', lost_id)
end
-- False when the log cannot tell what follows: a place it has not reached, or trimmed away.
local function following(seen, id, limit, bytes)
  if before(seen.last, id) then return false end
  if seen.added > seen.length and (not seen.first or before(id, seen.first[1])) then
    return false
  end
  local found, size, from = {}, 0, '(' .. id
  while #found < limit and size < bytes do
    local part = redis.call('XRANGE', STREAM, from, '+', 'COUNT', math.min(limit - #found, 16))
    if #part == 0 then break end
    for _, entry in ipairs(part) do
      if size >= bytes then break end
      found[#found + 1] = entry
      size = size + #entry[2][4]
    end
    from = '(' .. found[#found][1]
  end
  return found
end
"""
)

# ARGV: the known epoch, the known id, an epoch to begin with when there is none. Gives epoch and
# last id, as do the others that move.
OPEN = (
    _COMMON
    + """
if not read_state().epoch then begin(ARGV[3], ARGV[1], ARGV[2]) end
return {read_state().epoch, read_stream().last}
"""
)

# ARGV: the known epoch ('*' for any), the known id, most entries, most bytes, payloads. False when
# the log does not end at the known place.
APPEND = (
    _COMMON
    + """
local state, seen = read_state(), read_stream()
if not state.epoch then return false end
if ARGV[1] ~= '*' and place(state, ARGV[1], ARGV[2]) ~= seen.last then return false end
if #ARGV == 4 then return {state.epoch, seen.last} end
local size = 0
for i = 5, #ARGV do size = size + #ARGV[i] + ENTRY_BYTES end
local function held()
  if not seen.first then return 0 end
  local fields = seen.first[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'b' then return state.total - tonumber(fields[i + 1]) end
  end
  return state.total  -- of an entry from before bytes were counted
end
-- Changes nothing, but is refused when memory is full. Behind the first command that writes, Redis
-- would take all that a script adds.
local bytes, asked = tonumber(ARGV[4]), redis.pcall('HSET', STATE, 'epoch', state.epoch)
if type(asked) == 'table' and asked.err then
  if seen.length == 0 or not string.find(asked.err, 'OOM') then return asked end
  bytes = math.min(bytes, held())
end
while seen.length > 0 and held() + size > bytes do
  redis.call('XTRIM', STREAM, 'MAXLEN', seen.length - math.ceil(seen.length / 16))
  seen = read_stream()
end
redis.call('XTRIM', STREAM, 'MAXLEN', '~', ARGV[3])
local id
for i = 5, #ARGV do
  local offset = string.format('%.0f', state.total)
  id = redis.call('XADD', STREAM, '*', 'e', state.epoch, 'p', ARGV[i], 'b', offset)
  state.total = state.total + #ARGV[i] + ENTRY_BYTES
end
redis.call('HSET', STATE, 'total', string.format('%.0f', state.total))
return {state.epoch, id}
"""
)

# ARGV: the known epoch, the known id, most entries, most bytes.
BEYOND = (
    _COMMON
    + """
local id = place(read_state(), ARGV[1], ARGV[2])
return id and following(read_stream(), id, tonumber(ARGV[3]), tonumber(ARGV[4]))
"""
)

# ARGV: the known epoch, the known id, a new epoch.
BEGIN = (
    _COMMON
    + """
begin(ARGV[3], ARGV[1], ARGV[2])
return {ARGV[3], '0-0'}
"""
)

# ARGV: the lost epoch, the lost id, a new epoch.
RESTART = (
    _COMMON
    + """
local epoch = read_state().epoch
if not epoch or (epoch == ARGV[1] and before(read_stream().last, ARGV[2])) then
  begin(ARGV[3], ARGV[1], ARGV[2])
end
return {read_state().epoch, read_stream().last}
"""
)

# ARGV: epoch, id, most entries, most bytes (but one entry in any case).
READ = (
    _COMMON
    + """
if read_state().epoch ~= ARGV[1] then return false end
return following(read_stream(), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
"""
)

# KEYS[3], KEYS[4]: stream and epoch as releases up to 1.1 named them, whatever the installation.
# ARGV: the epoch that our database noted. Takes them over when they are ours.
ADOPT = (
    _COMMON
    + """
if redis.call('EXISTS', STATE) == 1 or redis.call('GET', KEYS[4]) ~= ARGV[1] then return false end
begin(ARGV[1], '', '0-0')
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('RENAME', KEYS[3], STREAM)
  redis.call('HSET', STATE, 'total', redis.call('MEMORY', 'USAGE', STREAM, 'SAMPLES', 0))
end
redis.call('DEL', KEYS[4])
return true
"""
)

ALL = (OPEN, APPEND, BEYOND, BEGIN, RESTART, READ, ADOPT)
