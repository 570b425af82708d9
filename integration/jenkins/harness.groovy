// Runs the shared library and the example Jenkinsfiles with stand-ins for Jenkins' steps: `sh` is real, the others
// note what they were called with. usage: groovy -cp integration/jenkins harness.groovy JENKINS_FOLDER < scenarios.json
//
// A scenario: {"name", "workspace", "path": folder of the `krunner` to use, and "options" for the step or "file"}.
// Printed: {name: {"calls": [[step, arguments…]…], "result": …, "error": message or null}}
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilerConfiguration

class BuildFailed extends Exception {
    BuildFailed(String message) { super(message) }
}

abstract class Steps extends Script {
    private Map scenario
    private File library
    private List calls
    private Closure afterwards
    private Exception failure

    // A script's own properties are variables of its pipeline, hence a method.
    Steps prepare(Map scenario, File library, List calls) {
        this.@scenario = scenario
        this.@library = library
        this.@calls = calls
        return this
    }

    Map options() { scenario.options }

    // What only groups others in a pipeline: its name is noted, its body is run.
    def methodMissing(String name, args) {
        def body = args && args[-1] instanceof Closure ? args[-1] : null
        calls << [name, *(body ? args[0..<-1] : args)]
        if (!(name in ['pipeline', 'agent', 'kubernetes', 'options', 'stage', 'steps', 'always',
                       'yaml', 'yamlFile', 'timeout', 'container', 'junit', 'archiveArtifacts'])) {
            throw new BuildFailed("No such DSL method '${name}'")
        }
        return body ? body.call() : null
    }

    def pipeline(Closure body) {
        calls << ['pipeline']
        def result = body.call()
        afterwards?.call()
        if (failure) {
            throw failure
        }
        return result
    }

    // Declarative: `post` runs after the stages, whatever became of them.
    def stages(Closure body) {
        calls << ['stages']
        try {
            return body.call()
        } catch (Exception caught) {
            failure = caught
        }
    }

    def post(Closure body) { afterwards = body }

    def sh(String script) { sh(script: script) }

    def sh(Map given) {
        calls << ['sh', given.script]
        def builder = new ProcessBuilder('/bin/sh', '-xe', '-c', given.script).directory(new File(scenario.workspace))
        builder.environment()['PATH'] = scenario.path + ':' + System.getenv('PATH')
        builder.redirectErrorStream(true).redirectOutput(new File(scenario.workspace, 'sh.log'))
        int status = builder.start().waitFor()
        if (scenario.abort) {
            throw new InterruptedException('aborted')
        }
        if (status && !given.returnStatus) {
            error("script returned exit code ${status}")
        }
        return given.returnStatus ? status : null
    }

    def error(message) { throw new BuildFailed(message.toString()) }

    boolean fileExists(String path) { new File(scenario.workspace, path).exists() }

    String readFile(String path) { new File(scenario.workspace, path).text }

    String libraryResource(String path) { new File(library, "resources/${path}").text }

    def krunner(Map options = [:]) {
        def source = new File(library, 'vars/krunner.groovy')
        return Configured.parse(source.text).prepare(scenario, library, calls).call(options)
    }
}

class Configured {
    static Steps parse(String source) {
        def configuration = new CompilerConfiguration(scriptBaseClass: Steps.name)
        return new GroovyShell(Steps.classLoader, new Binding(), configuration).parse(source)
    }
}

def outcomes = [:]
for (scenario in new JsonSlurper().parse(System.in)) {
    def folder = new File(args[0])
    def source = scenario.file ? new File(folder, scenario.file).text : 'return krunner(options())'
    def outcome = [result: null, error: null, calls: []]
    try {
        outcome.result = Configured.parse(source).prepare(scenario, folder, outcome.calls).run()
    } catch (Exception caught) {
        outcome.error = caught.message
    }
    outcomes[scenario.name] = outcome
}
println JsonOutput.toJson(outcomes)
