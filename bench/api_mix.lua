-- The load: four requests in turn, as a small shop's front end might send them. Three read, one writes about
-- 600 bytes of JSON. BENCH_AUTHORIZATION adds an Authorization header to each.

local fields = {
  ["Host"] = "api.example.com",
  ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  ["Accept"] = "application/json",
  ["Accept-Language"] = "en-GB,en;q=0.5",
  ["X-Request-Id"] = "7d4fd3a2-61f0-4c0f-9f4b-3a5f2d1c8e90",
  ["Cookie"] = "session=5b0c2a9e-3f7d-4a64-8a8e-d1f6b7c09e21; theme=light",
  ["Authorization"] = os.getenv("BENCH_AUTHORIZATION"),
}

local order = [[{"customer":{"id":40217,"name":"Maeve Byrne","email":"maeve.byrne@example.com","phone":"+353 1 555 0148"},
"delivery":{"street":"7 Quay Lane","city":"Kinsale","postcode":"P17 AB12","country":"IE","date":"2027-03-09","slot":"afternoon"},
"items":[{"sku":"LAMP-04","name":"Reading lamp","quantity":1,"price":49.5},{"sku":"BULB-11","name":"Bulb, warm white","quantity":4,"price":3.25},
{"sku":"CORD-02","name":"Cord, two metres","quantity":1,"price":8}],"notes":"The gate is stiff: please push. Leave the parcel under the bench if nobody answers.",
"newsletter":false,"gift":{"wrapped":true,"message":"Happy birthday"}}]]

local function with(extra)
  local all = {}
  for name, value in pairs(fields) do all[name] = value end
  for name, value in pairs(extra) do all[name] = value end
  return all
end

local requests = {}

function init()
  requests[1] = wrk.format("GET", "/api/v1/products?category=lamps&page=2&sort=price&order=asc", fields)
  requests[2] = wrk.format("GET", "/api/v1/products/42", fields)
  requests[3] = wrk.format("GET", "/api/v1/search?q=reading+lamp+with+long+arm&limit=20&lang=en", fields)
  requests[4] = wrk.format("POST", "/api/v1/orders", with({ ["Content-Type"] = "application/json" }), order)
end

local turn = 0

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
