package nested

import _ "example.org/house/core/server"
