import * as compliance from "../src/compliance.ts"
import { layerBinding, layerCapi } from "../src/index.ts"

compliance.engine({ name: "layerCapi", layer: layerCapi, packs: true })
compliance.engine({ name: "layerBinding", layer: layerBinding, packs: false })
