namespace Moshpit.Server.Api;

/// <summary>One value of a <see cref="FormTree"/>. Nodes refer to each other by position; -1 is none.</summary>
internal struct FormNode
{
    public FormNodeKind Kind;

    /// <summary>The text, of a <see cref="FormNodeKind.Text"/>.</summary>
    public Slice Text;

    public FormName Name;

    /// <summary>Whose child this is, as found by name; -1 once that node was given another value.</summary>
    public int Parent;

    /// <summary>Of <see cref="Parent"/> and <see cref="Name"/>.</summary>
    public int Hash;

    public int NextInBucket;

    public int NextSibling;

    /// <summary>The children in the order of their first appearance; an array's by ascending index.</summary>
    public int FirstChild;

    public int LastChild;
}
