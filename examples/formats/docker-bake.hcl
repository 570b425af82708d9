# The project of builds.yaml, as Bake has it.
variable "REGISTRY" {
  default = "localhost:5000"
}

variable "VERSION" {
  default = "1.0"
}

function "image" {
  params = [name, tag]
  result = "${REGISTRY}/formats/${name}:${tag}"
}

group "default" {
  targets = ["base", "api", "web"]
}

target "_on-base" {
  contexts = {
    base = "target:base"
  }
  args = {
    VERSION = VERSION
  }
}

target "base" {
  context = "base"
  tags    = [image("base", VERSION)]
}

target "api" {
  inherits   = ["_on-base"]
  context    = "api"
  labels     = { "org.opencontainers.image.title" = "api" }
  tags       = [for tag in [VERSION, "latest"] : image("api", tag)]
  cache-from = ["type=registry,ref=${REGISTRY}/formats/cache"]
  cache-to   = ["type=registry,ref=${REGISTRY}/formats/cache,mode=max"]
}

target "web" {
  inherits  = ["_on-base"]
  context   = "web"
  target    = "runtime"
  args      = { GREETING = join(" ", ["good", "morning"]) }
  platforms = ["linux/amd64"]
  secret    = ["id=token,env=FORMATS_TOKEN"]
  tags      = [image("web", VERSION)]
}
